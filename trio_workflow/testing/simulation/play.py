"""Playing a world: in virtual time, with what it draws seeded, and the report of what came of it."""

import logging
import random
import shutil
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import attrs
import trio
from trio.testing import MockClock

from trio_workflow.clock import use_clock
from trio_workflow.points import POINTS
from trio_workflow.runtime.failures import leaves_of
from trio_workflow.testing.determinism import seeded
from trio_workflow.testing.simulation.acting.drama import Drama
from trio_workflow.testing.simulation.actor import CURRENT
from trio_workflow.testing.simulation.expected.runs import ExpectedStep, all_steps
from trio_workflow.testing.simulation.history import Broken
from trio_workflow.testing.simulation.looks.afterwards import what_is_left
from trio_workflow.testing.simulation.overtime import Overtime
from trio_workflow.testing.simulation.scheduler import Scheduler, StuckError
from trio_workflow.testing.simulation.setting import empty_store, memory, small_portions
from trio_workflow.testing.simulation.stage import Script, Stage
from trio_workflow.testing.simulation.world import World

TOO_LONG = "it takes too long"


@attrs.frozen(kw_only=True)
class SeedReport:
    """broken: what was found. counts: what was reached. digest: of the trace.
    ends: how every attempt and step ended. lines: the end of the trace; trace: all of it, if that was to be
    kept. is_repeatable: nothing of it was left to threads."""

    world: World
    broken: tuple[Broken, ...]
    counts: Mapping[str, Mapping[str, int]]
    digest: str
    steps: int
    attempts: int
    ends: str
    lines: tuple[str, ...]
    trace: tuple[str, ...] = ()
    is_repeatable: bool = True


def play(world: World, make_script: Callable[[World], Script], *, is_whole: bool = False) -> SeedReport:
    """Simulate a world. is_whole: keep its whole trace."""
    clock, script = MockClock(autojump_threshold=0), make_script(world)
    scheduler = Scheduler(f"{world.seed}/schedule", CURRENT)
    folder = Path(tempfile.mkdtemp(prefix="trio_workflow-", dir=memory()))
    stage = Stage(world, script, scheduler, folder, is_whole=is_whole)
    use_clock(clock, stage)
    logger = logging.getLogger("trio_workflow")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        stage.store.write_bytes(empty_store())
        script.begin(stage)
        with (
            seeded(world.seed, mark=0),
            scheduler.in_charge(),
            POINTS.watched_by(stage),
            small_portions(),
            _limited(stage),
        ):
            trio.run(Drama(stage).play, clock=clock)
    except BaseException as error:
        if any(isinstance(leaf, KeyboardInterrupt) for leaf in leaves_of(error)):
            raise KeyboardInterrupt from error
        _explain(stage, error, clock.current_time())
    finally:
        logger.disabled = was_disabled
        shutil.rmtree(folder, ignore_errors=True)
    return _report(stage)


@contextmanager
def _limited(stage: Stage) -> Generator[None]:
    """Users have a limit of real time, and the global random numbers, which are the seed's."""
    seconds = stage.script.limits.seconds
    if seconds is None:
        yield
        return
    overtime, state = Overtime(seconds, stage.world.seed), random.getstate()
    stage.scheduler.limit(overtime)
    random.seed(f"{stage.world.seed}/global")
    try:
        with overtime.watched():
            yield
    finally:
        random.setstate(state)


def _explain(stage: Stage, error: BaseException, time: float) -> None:
    """What ended the trio run. If a user's world was broken already, that is what comes of it."""
    history, overtime = stage.history, stage.scheduler.overtime
    if stage.script.is_users and history.broken:
        return
    if overtime is not None and overtime.is_up:
        history.broken.append(Broken(TOO_LONG, _told_of(stage), time, overtime.place))
        return
    is_stuck = isinstance(error.__cause__, StuckError)
    check = "the engine is stuck" if is_stuck else "the engine broke the trio run"
    history.broken.append(Broken(check, f"{error!r} from {error.__cause__!r}", time, cause=error))


def _told_of(stage: Stage) -> str:
    left = "; ".join(what_is_left(stage)) or "no step is left"
    return (
        f"after {stage.script.limits.seconds:g} s of real time (seconds=; give more if that is as it should "
        f"be): {left}"
    )


def _ends(step: ExpectedStep) -> tuple[str, str, list[str | None]]:
    return step.name, step.status.value, [end and end.value for end in step.ends]


def _report(stage: Stage) -> SeedReport:
    history, steps = stage.history, all_steps(stage.oracle.runs.values())
    for (status, event), times in stage.oracle.moves.items():
        history.count("move", f"{status} {event}", times)
    for step in steps:
        for end in step.ends:
            history.count("outcome", end.value if end else "open")
    return SeedReport(
        world=stage.world,
        broken=tuple(history.broken),
        counts=history.counts,
        digest=history.digest,
        steps=stage.oracle.deleted_steps + sum(step.status.is_final for step in steps),
        attempts=sum(step.attempt for step in steps),
        ends=str(sorted(_ends(step) for step in steps)),
        lines=tuple(history.lines),
        trace=tuple(history.trace),
        is_repeatable=stage.script.is_repeatable,
    )
