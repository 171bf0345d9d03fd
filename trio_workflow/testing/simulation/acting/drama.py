"""One world from its beginning to its end: processes live and die, faults stop, and then all must finish."""

import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from functools import partial

import attrs
import trio

from trio_workflow.model.policy import QueueConfig
from trio_workflow.testing.simulation.acting.process import Process
from trio_workflow.testing.simulation.expected.ledger import orphans
from trio_workflow.testing.simulation.expected.runs import all_steps
from trio_workflow.testing.simulation.looks.afterwards import until_all_ended, until_gone
from trio_workflow.testing.simulation.looks.ending import look_at_the_end
from trio_workflow.testing.simulation.looks.leaks import (
    check_descriptors,
    check_leaks_when_closed,
    check_leaks_while_idle,
)
from trio_workflow.testing.simulation.looks.rest import HeldUp, watch_rests
from trio_workflow.testing.simulation.setting import config_of
from trio_workflow.testing.simulation.stage import Stage
from trio_workflow.testing.simulation.world import Fault, other_queues

_FROM_OUTSIDE = (Fault.CRASH_BETWEEN, Fault.FREEZE, Fault.CLOCK_FORWARD, Fault.CLOCK_BACK)


class Drama:
    def __init__(self, stage: Stage) -> None:
        self._stage, self._world = stage, stage.world
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
            name, config = f"p{place}.{life}", config_of(self._stage, f"p{place}", self._world.max_workers)
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
        config = config_of(self._stage, "last", max(2, self._world.max_workers))
        if self._world.has(Fault.RECONFIGURE):  # no queue stays paused
            config = attrs.evolve(config, queues={"unnamed": config.default_queue, **self._queues})
        self._stage.rates.clock_went_forward()  # its clock is right: to one that was behind, that is a jump
        last = Process(self._stage, "last", config)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(last.live, is_last=True))
            rt = last.rt if await self._all_ended(last) else None
            if rt is not None:
                await check_leaks_while_idle(self._stage, rt)
                await look_at_the_end(self._stage, rt)
            nursery.cancel_scope.cancel()
        if rt is not None:
            check_leaks_when_closed(self._stage, last, rt)
        check_descriptors(self._stage)
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
