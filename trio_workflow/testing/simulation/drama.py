"""One world from its beginning to its end: processes live and die, faults stop, and then all must finish."""

import logging
import os
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
from trio_workflow.points import POINTS
from trio_workflow.runtime.config import Config
from trio_workflow.store import SQLiteStore
from trio_workflow.store.sqlite import committer, log_checkpoint
from trio_workflow.store.sqlite.verbs import delete
from trio_workflow.testing.determinism import seeded
from trio_workflow.testing.simulation.actor import CURRENT
from trio_workflow.testing.simulation.ending import look_at_the_end
from trio_workflow.testing.simulation.expected import ExpectedStep, all_steps
from trio_workflow.testing.simulation.history import Broken
from trio_workflow.testing.simulation.ledger import orphans
from trio_workflow.testing.simulation.process import Process
from trio_workflow.testing.simulation.rest import HeldUp, watch_rests
from trio_workflow.testing.simulation.scheduler import Scheduler, StuckError
from trio_workflow.testing.simulation.stage import Script, Stage
from trio_workflow.testing.simulation.world import Fault, Feature, World, other_queues

PATIENCE = 3000.0
"""Seconds of virtual time in which everything must have ended once the faults have stopped."""


@attrs.frozen(kw_only=True)
class SeedReport:
    """broken: what was found. counts: what was reached. digest: of the trace.
    ends: how every attempt and step ended. lines: the end of the trace."""

    world: World
    broken: tuple[Broken, ...]
    counts: Mapping[str, Mapping[str, int]]
    digest: str
    steps: int
    attempts: int
    ends: str
    lines: tuple[str, ...]


def play(world: World, make_script: Callable[[World], Script]) -> SeedReport:
    """Simulate a world."""
    clock = MockClock(autojump_threshold=0)
    scheduler = Scheduler(f"{world.seed}/schedule", CURRENT)
    folder = Path(tempfile.mkdtemp(prefix="trio_workflow-", dir=_memory()))
    stage = Stage(world, make_script(world), scheduler, folder)
    use_clock(clock, stage)
    logger = logging.getLogger("trio_workflow")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        stage.store.write_bytes(_empty_store())
        with seeded(world.seed, mark=0), scheduler.in_charge(), POINTS.watched_by(stage), _small_portions():
            trio.run(_Drama(stage, folder).play, clock=clock)
    except Exception as error:
        is_stuck = isinstance(error.__cause__, StuckError)
        check = "the engine is stuck" if is_stuck else "the engine broke the trio run"
        stage.history.broken.append(Broken(check, f"{error!r} from {error.__cause__!r}", 0.0))
    finally:
        logger.disabled = was_disabled
        shutil.rmtree(folder, ignore_errors=True)
    return _report(stage)


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
            self._stage.scheduler.allow(turns=200_000)
            nursery.cancel_scope.cancel()

    async def _acts(self) -> None:
        async with trio.open_nursery() as nursery:
            for place in range(self._world.processes):
                nursery.start_soon(self._inhabit, place)
            await trio.sleep(self._world.duration)
            self._stage.end_faults()
        await self._finish()

    async def _inhabit(self, place: int) -> None:
        """One process after another, until the faults are over."""
        life, skew = 0, 0.0
        roll = self._world.random(f"place {place}")
        while not self._stage.faults.is_over:
            life += 1
            name, config = f"p{place}.{life}", self._config(f"p{place}", self._world.max_workers)
            if self._stage.faults.strikes(Fault.RECONFIGURE, 0.5):
                others = other_queues(self._world.random(f"queues of {name}"), self._world.queues)
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
            config = attrs.evolve(config, queues={"unnamed": config.default_queue, **config.queues})
        self._stage.rates.clock_went_forward()  # its clock is right: to one that was behind, that is a jump
        last = Process(self._stage, "last", config)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(last.live, is_last=True))
            with trio.move_on_after(PATIENCE) as scope:
                await last.has_operated.wait()
                held_up = HeldUp(self._stage, last)
                while any(run.open for run in self._stage.oracle.runs.values()):
                    await trio.sleep(1.0)
                    self._look_at_expired()
                    held_up.look()
            if scope.cancelled_caught:
                left = [s.name for s in all_steps(self._stage.oracle.runs.values()) if not s.status.is_final]
                self._stage.history.tell("not everything ended", f"{left}")
            elif last.rt is not None:
                await look_at_the_end(self._stage, last.rt)
            nursery.cancel_scope.cancel()
        with closing(sqlite3.connect(self._stage.store, isolation_level=None)) as conn:
            conn.row_factory = sqlite3.Row
            self._stage.compare_all(conn)
            for orphan in orphans(conn):
                self._stage.history.tell("rows are left of runs that are not there", orphan)

    def _look_at_expired(self) -> None:
        """A lease that ran out is taken back within a poll; and as soon as its date has come."""
        late = self._stage.now() - round((self._world.lease / 12 + 1.0) * 1_000_000)
        for step in self._stage.oracle.running.values():
            if step.expires_at < late:
                self._stage.history.tell("a lease that ran out is not taken back", step.name)

    def _config(self, worker_id: str, max_workers: int) -> Config:
        world, is_last = self._world, worker_id == "last"
        artifacts = FileArtifactStore(self._folder / "artifacts") if world.has(Feature.EXTERNAL) else None
        return Config(
            store=SQLiteStore(self._stage.store, synchronous="OFF"),
            artifact_store=artifacts,
            worker_id=worker_id,
            max_workers=max_workers,
            poll_interval=world.poll,
            lease_duration=world.lease,
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
