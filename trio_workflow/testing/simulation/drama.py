"""One world from its beginning to its end: processes live and die, faults stop, and then all must finish."""

import logging
import math
import os
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import closing, contextmanager
from functools import cache, partial
from pathlib import Path

import attrs
import trio
from trio.testing import MockClock

from trio_workflow.artifacts import FileArtifactStore
from trio_workflow.clock import use_clock
from trio_workflow.model.policy import QueueConfig
from trio_workflow.points import POINTS
from trio_workflow.projections import SQLiteProjectionStore
from trio_workflow.runtime.config import Config
from trio_workflow.runtime.failures import leaves_of
from trio_workflow.store import SQLiteStore
from trio_workflow.store.sqlite import committer, log_checkpoint
from trio_workflow.store.sqlite.verbs import delete
from trio_workflow.testing.determinism import seeded
from trio_workflow.testing.simulation.actor import CURRENT
from trio_workflow.testing.simulation.afterwards import until_all_ended, until_gone, what_is_left
from trio_workflow.testing.simulation.ending import look_at_the_end
from trio_workflow.testing.simulation.expected import ExpectedStep, all_steps
from trio_workflow.testing.simulation.history import Broken
from trio_workflow.testing.simulation.ledger import orphans
from trio_workflow.testing.simulation.overtime import Overtime
from trio_workflow.testing.simulation.process import Process
from trio_workflow.testing.simulation.rest import HeldUp, watch_rests
from trio_workflow.testing.simulation.scheduler import Scheduler, StuckError
from trio_workflow.testing.simulation.stage import Script, Stage
from trio_workflow.testing.simulation.world import Fault, Feature, World, other_queues

LAST_LEASE = 3600.0
"""Seconds that the leases of the last process have in a user's world. It is alone: what it waits for may be
days away, and neither polls nor renewals are to hold that up."""

TOO_LONG = "it takes too long"


@attrs.frozen(kw_only=True)
class SeedReport:
    """broken: what was found. counts: what was reached. digest: of the trace.
    ends: how every attempt and step ended. lines: the end of the trace; trace: all of it, if
    that was to be kept. is_repeatable: nothing of it was left to
    threads."""

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
    folder = Path(tempfile.mkdtemp(prefix="trio_workflow-", dir=_memory()))
    stage = Stage(world, script, scheduler, folder, is_whole=is_whole)
    use_clock(clock, stage)
    logger = logging.getLogger("trio_workflow")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        stage.store.write_bytes(_empty_store())
        script.begin(stage)
        with (
            seeded(world.seed, mark=0),
            scheduler.in_charge(),
            POINTS.watched_by(stage),
            _small_portions(),
            _limited(stage),
        ):
            trio.run(_Drama(stage, folder).play, clock=clock)
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


@cache
def _memory() -> str | None:
    """A folder in memory, where there is one: files of a simulation need no disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@cache
def _empty_store() -> bytes:
    """The file of a new store: to copy it takes a tenth of the time."""

    async def make(path: str) -> None:
        async with SQLiteStore(path).open(_NoClock()):
            pass

    with tempfile.TemporaryDirectory(dir=_memory()) as folder:
        path = os.path.join(folder, "engine.db")
        trio.run(make, path)
        return Path(path).read_bytes()


_SMALL = (
    (log_checkpoint, "LOG_CHANGES", 100),
    (committer, "STUCK_AFTER", 6),
    (delete, "ROWS_AT_ONCE", 12),
    (delete, "STEPS_AT_ONCE", 2),
    (delete, "PAYLOADS_AT_ONCE", 2),
    (delete, "ARTIFACTS_AT_ONCE", 2),
)


@contextmanager
def _small_portions() -> Generator[None]:
    """Logs are copied into the file, runs removed in portions, and patience lost, as in a store that holds
    much more and is locked for longer."""
    before = [(module, name, getattr(module, name)) for module, name, _ in _SMALL]
    for module, name, size in _SMALL:
        setattr(module, name, size)
    try:
        yield
    finally:
        for module, name, size in before:
            setattr(module, name, size)


class _NoClock:
    def now(self) -> int:
        return 0

    def monotonic(self) -> float:
        return 0.0

    def not_before(self, at: int) -> None:
        pass


_FROM_OUTSIDE = (Fault.CRASH_BETWEEN, Fault.FREEZE, Fault.CLOCK_FORWARD, Fault.CLOCK_BACK)


class _Drama:
    def __init__(self, stage: Stage, folder: Path) -> None:
        self._stage, self._world, self._folder = stage, stage.world, folder
        self._processes: dict[int, Process] = {}  # those that live, by their place

    async def play(self) -> None:
        if self._stage.scheduler.overtime is not None:
            self._stage.scheduler.overtime.wakes(trio.lowlevel.current_trio_token())
        if self._stage.history.broken:
            return
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._stage.thaw_always)
            nursery.start_soon(watch_rests, self._stage, self._processes)
            nursery.start_soon(self._disturb)
            await self._until_broken(self._acts)
            self._stage.scheduler.thaw_all()
            nursery.cancel_scope.cancel()

    async def _until_broken(self, acts: Callable[[], Awaitable[None]]) -> None:
        async with trio.open_nursery() as nursery:

            async def run() -> None:
                await acts()
                nursery.cancel_scope.cancel()

            nursery.start_soon(run)
            await self._stage.history.is_broken.wait()
            self._stage.end_faults()
            self._stage.scheduler.allow(turns=5_000 if self._stage.script.is_users else 200_000)
            nursery.cancel_scope.cancel()

    async def _acts(self) -> None:
        async with trio.open_nursery() as nursery:
            for place in range(self._world.processes):
                nursery.start_soon(self._inhabit, place)
            await trio.sleep(self._world.duration)
            self._stage.end_faults()
            if self._stage.script.is_users:
                await until_gone(self._stage, self._processes)
        await self._finish()

    async def _inhabit(self, place: int) -> None:
        """One process after another, until the faults are over."""
        life, skew = 0, 0.0
        roll = self._world.random(f"place {place}")
        while not self._stage.faults.is_over:
            life += 1
            name, config = f"p{place}.{life}", self._config(f"p{place}", self._world.max_workers)
            if self._stage.faults.strikes(Fault.RECONFIGURE, 0.5):
                others = other_queues(self._world.random(f"queues of {name}"), self._queues)
                config = attrs.evolve(config, queues=others)
            process = Process(self._stage, name, config)
            process.skew = skew
            self._processes[place] = process
            await self._apart(process.live)
            skew = process.skew
            del self._processes[place]
            with trio.move_on_after(roll.random() * self._world.lease * 2):
                await self._stage.faults_are_over.wait()

    @staticmethod
    async def _apart(life: Callable[[], Awaitable[None]]) -> None:
        """In a task of its own, so that nobody else is in its process."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(life)

    async def _finish(self) -> None:
        """A last process, with all executors and no faults, must bring everything to its end."""
        config = self._config("last", max(2, self._world.max_workers))
        if self._world.has(Fault.RECONFIGURE):  # no queue stays paused
            config = attrs.evolve(config, queues={"unnamed": config.default_queue, **self._queues})
        self._stage.rates.clock_went_forward()  # its clock is right: to one that was behind, that is a jump
        last = Process(self._stage, "last", config)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(last.live, is_last=True))
            if await self._all_ended(last) and last.rt is not None:
                await look_at_the_end(self._stage, last.rt)
            nursery.cancel_scope.cancel()
        with closing(sqlite3.connect(self._stage.store, isolation_level=None)) as conn:
            conn.row_factory = sqlite3.Row
            self._stage.compare_all(conn)
            for orphan in orphans(conn):
                self._stage.history.tell("rows are left of runs that are not there", orphan)

    @property
    def _queues(self) -> Mapping[str, QueueConfig]:
        """Those that processes configure. Users' steps are in the default one, if in no other."""
        users = {"default": self._world.default_queue} if self._stage.script.is_users else {}
        return {**users, **self._world.queues}

    async def _all_ended(self, last: Process) -> bool:
        """Tells what is left, if they have not."""
        held_up = HeldUp(self._stage, last)

        def look() -> None:
            self._look_at_expired()
            held_up.look()

        if self._stage.script.is_users:
            await last.has_operated.wait()
            return await until_all_ended(self._stage, look)
        with trio.move_on_after(self._stage.script.limits.patience) as scope:
            await last.has_operated.wait()
            while any(run.open for run in self._stage.oracle.runs.values()):
                await trio.sleep(1.0)
                look()
        if scope.cancelled_caught:
            left = [s.name for s in all_steps(self._stage.oracle.runs.values()) if not s.status.is_final]
            self._stage.history.tell("not everything ended", f"{left}")
        return not scope.cancelled_caught

    def _look_at_expired(self) -> None:
        """A lease that ran out is taken back within a poll; and as soon as its date has come."""
        late = self._stage.now() - round((self._world.lease / 12 + 1.0) * 1_000_000)
        for step in self._stage.oracle.running.values():
            if step.expires_at < late:
                self._stage.history.tell("a lease that ran out is not taken back", step.name)

    def _config(self, worker_id: str, max_workers: int) -> Config:
        world, script, is_last = self._world, self._stage.script, worker_id == "last"
        is_users = script.is_users
        artifacts, projections = self._folder / "artifacts", self._folder / "projections"
        return Config(
            store=SQLiteStore(self._stage.store, synchronous="OFF"),
            artifact_store=FileArtifactStore(artifacts) if is_users or world.has(Feature.EXTERNAL) else None,
            projection_store=SQLiteProjectionStore(projections) if is_users else None,
            worker_id=worker_id,
            max_workers=max_workers,
            poll_interval=math.inf if is_last and is_users else world.poll,
            lease_duration=LAST_LEASE if is_last and is_users and not script.knows_executors else world.lease,
            queues=world.queues,
            default_queue=world.default_queue,
            keep_finished=None if is_last else self._age(worker_id),
            max_lost_leases=world.max_lost,
            shutdown_grace=world.grace,
        )

    def _age(self, place: str) -> float | None:
        """Where runs are deleted, some processes do so by themselves. Seconds."""
        roll = self._world.random(f"age of {place}")
        return roll.choice((None, 1.0, 5.0)) if self._world.has(Fault.DELETE) else None

    async def _disturb(self) -> None:
        """From outside: processes are killed and frozen, and their clocks are set."""
        roll = self._world.random("disturbances")
        kinds = [kind for kind in _FROM_OUTSIDE if self._world.has(kind)]
        while kinds and not self._stage.faults.is_over:
            await trio.sleep(roll.random() * self._world.duration / 2)
            kind, place, size = roll.choice(kinds), roll.randrange(self._world.processes), roll.random()
            process = self._processes.get(place)
            if process is None or self._stage.faults.is_over:
                continue
            self._stage.faults.count(kind)
            match kind:
                case Fault.CRASH_BETWEEN:
                    process.die()
                case Fault.FREEZE:
                    process.freeze_for(size * 3 * self._world.lease)
                case Fault.CLOCK_FORWARD:
                    self._set_clock(process, size * 3 * self._world.lease)
                    self._stage.rates.clock_went_forward()
                case _:
                    self._set_clock(process, -size * 3 * self._world.lease)

    def _set_clock(self, process: Process, by: float) -> None:
        process.skew += by
        # Of a second jump that follows soon the process sees only what both make together.
        distrusted = self._stage.oracle.distrusted
        if abs(by) > self._world.lease / 3 and process.name not in distrusted and process.rt is not None:
            distrusted[process.name] = trio.current_time() + self._world.lease
        else:
            distrusted[process.name] = 0.0
