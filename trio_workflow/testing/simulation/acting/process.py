"""A process of a simulation: one runtime from its opening to its end, be that orderly or not."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial

import trio

from trio_workflow.errors import RunNotFoundError, RuntimeClosedError, StoreUnavailableError
from trio_workflow.model.changes import Changes
from trio_workflow.runtime.config import Config
from trio_workflow.runtime.failures import leaves_of
from trio_workflow.runtime.opening import open_runtime
from trio_workflow.runtime.runtime import Runtime
from trio_workflow.testing.crashing import crash
from trio_workflow.testing.simulation.acting.operator import Operator
from trio_workflow.testing.simulation.actor import CURRENT, Told
from trio_workflow.testing.simulation.faults import gone
from trio_workflow.testing.simulation.looks.leaks import (
    check_leaks_after_workers,
    check_leaks_when_closed,
)
from trio_workflow.testing.simulation.looks.leaving import (
    Done,
    look_at_cycle,
    look_at_drain,
    look_at_rest,
    look_at_slots,
    look_back,
)
from trio_workflow.testing.simulation.stage import Stage
from trio_workflow.testing.simulation.watching.ears import Ears
from trio_workflow.testing.simulation.world import DISTURBING, LATEST_READ, QUEUES, Fault


class Process:
    """skew: seconds that its wall clock is ahead. Each life is another Process."""

    def __init__(self, stage: Stage, name: str, config: Config) -> None:
        self.stage, self.name, self.config = stage, name, config
        self._world, self._faults = stage.world, stage.faults
        self.roll = stage.world.random(f"life of {name}")
        self.skew = 0.0
        self.rt: Runtime | None = None
        self.is_dead = False
        self._is_gone = False  # died in a transaction: of what it would still do nothing may come
        self.ears = Ears(self, stage.history.tell)
        # Where all is sound, some processes have no workers: what they start is the others' to find.
        has_others = self._world.processes > 1 and not self._world.faults & DISTURBING
        self.only_operates = has_others and stage.world.random(f"mode of {name}").random() < 0.4
        self.has_operated = trio.Event()  # its operators have done all they wanted to
        self.is_at_work = False  # it has workers, and they are not being stopped
        self._awaits = stage.world.random(f"waits of {name}").random() < 0.5
        self._aside = stage.world.random(f"aside {name}")
        self._is_drained = False
        self.serves: frozenset[str] | None = None  # the queues that its workers are for; None: all
        self.waits_for: list[str] = []  # the runs that its operators wait for
        self.stopped_at: float | None = None  # when its workers were cancelled
        self.is_interrupted = False  # an executor has asked the program to end

    def __repr__(self) -> str:
        return f"<Process {self.name}>"

    # Its life.

    async def live(self, is_last: bool = False) -> None:
        """Open, work, and end as the seed says; the last one works until it is cancelled."""
        CURRENT.set(self)
        try:
            async with trio.open_nursery() as outside, self._told_of_the_end(outside) as rt:
                self.rt = rt
                if self.is_dead:  # it died as it opened
                    crash(rt)
                    return
                self.stage.script.set_up(rt, self.stage, self, is_last)
                if self.config.keep_finished is not None:
                    self.stage.oracle.prunes.setdefault(self.name, set()).add(self.config.keep_finished)
                outside.start_soon(self._listen, rt)
                outside.start_soon(self._wait_for_all, rt)
                async with rt.events(buffer=1_000_000) as stream, trio.open_nursery() as nursery:
                    nursery.start_soon(self.ears.hear, stream)
                    nursery.start_soon(self.ears.hear_late, rt)
                    await self._work(rt, is_last=is_last)
                    nursery.cancel_scope.cancel()
                look_at_slots(self.stage, self, rt)
                check_leaks_after_workers(self.stage, self, rt)
            look_back(self.stage, self)
            check_leaks_when_closed(self.stage, self, rt)
            if self.is_interrupted and not self.is_dead:
                self.stage.history.tell("an interrupt did not come to the program", self.name)
        except BaseException as error:
            if not self._is_interrupt(error):
                self._explain(error)
        finally:
            self.rt = None
            self.is_at_work = False

    async def _work(self, rt: Runtime, *, is_last: bool) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._operate, rt)
            modes = (
                ("workers", "workers", "both")
                if self._world.is_calm
                else ("workers", "workers", "both", "cycles")
            )
            mode = "workers" if is_last else self.roll.choice(modes)
            if self.only_operates and not is_last:
                mode = "operators"
            cycle = partial(self._cycle, rt, is_alone=mode == "cycles")
            has_cycles, they_come_first = mode in ("cycles", "both"), self._aside.random() < 0.5
            if has_cycles and they_come_first:
                nursery.start_soon(cycle)
            if mode in ("workers", "both"):
                if (
                    mode == "workers"
                    and not (is_last or self.stage.script.is_users)
                    and self.roll.random() < 0.2
                ):
                    self.serves = frozenset(self.roll.sample(QUEUES, 3))
                await nursery.start(partial(rt.start_workers, queues=self.serves))
                self.is_at_work = True
            if has_cycles and not they_come_first:
                nursery.start_soon(cycle)
            await self._until_the_end(rt, is_last=is_last, has_both=mode == "both")
            if mode == "workers" and self._aside.random() < 0.3 and self._is_drained:
                await nursery.start(partial(rt.start_workers, queues=self.serves))
                await trio.sleep(self._world.lease * self._aside.random())
            self.is_at_work = False
            self.stopped_at = trio.current_time()
            nursery.cancel_scope.cancel()

    async def _operate(self, rt: Runtime) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(self.roll.choice((1, 1, 2, 3))):
                nursery.start_soon(Operator(self.stage, self, rt, number).operate)
        self.has_operated.set()

    async def _cycle(self, rt: Runtime, *, is_alone: bool) -> None:
        while True:
            with suppress(StoreUnavailableError):
                if is_alone and self._aside.random() < 0.3:
                    await rt.start_workers(max_cycles=self._aside.choice((1, 3)), poll_interval=0.5)
                else:
                    before = Done.by(self, self.stage)
                    result = await rt.run_once()
                    if is_alone:
                        look_at_cycle(self.stage, self, result, before)
                if is_alone:
                    look_at_rest(self.stage, self, "a cycle")
            await trio.sleep(0.5)

    async def _until_the_end(self, rt: Runtime, *, is_last: bool, has_both: bool) -> None:
        """has_both: while workers are drained, cycles go on to be made."""
        if is_last:
            await trio.sleep_forever()
        restarts = self._faults.roll(Fault.RESTART).random() * self._world.duration
        with trio.move_on_after(restarts if self._world.has(Fault.RESTART) else float("inf")) as scope:
            await self.stage.faults_are_over.wait()
        if scope.cancelled_caught:
            self.is_at_work = False
            self._faults.count(Fault.RESTART)
            if self.roll.random() < 0.5:
                with trio.move_on_after(5 * self._world.lease) as patience:
                    await rt.drain()
                self._is_drained = not patience.cancelled_caught
                if not has_both:
                    look_at_drain(self.stage, self, went_on=patience.cancelled_caught)

    # How it ends.

    @asynccontextmanager
    async def _told_of_the_end(self, outside: trio.Nursery) -> AsyncGenerator[Runtime]:
        """The runtime's block. Who uses it from outside of the block is told at once when that has ended."""
        async with open_runtime(self.config) as rt:
            yield rt
        if self._world.is_calm:
            await trio.sleep(LATEST_READ)
        await trio.testing.wait_all_tasks_blocked()
        if outside.child_tasks and not self._world.faults & {Fault.SLOW, Fault.FREEZE, Fault.BLOCK}:
            names = [task.name for task in outside.child_tasks]
            self.stage.history.tell("who waits outlives the runtime", f"{names}")
        outside.cancel_scope.cancel()

    async def _listen(self, rt: Runtime) -> None:
        async with rt.events(buffer=1) as stream:
            async for _ in stream:
                pass

    async def _wait_for_all(self, rt: Runtime) -> None:
        """In some processes; in the others nobody may have asked for other processes' work."""
        with suppress(RuntimeClosedError):
            for run_id in self.stage.started_ids if self._awaits else ():
                with suppress(RunNotFoundError):
                    await rt.wait(run_id)

    def interrupted(self) -> None:
        """An executor of its is about to interrupt the program, which ends the process."""
        self.is_at_work, self.is_interrupted = False, True

    def _is_interrupt(self, error: BaseException) -> bool:
        return self.is_interrupted and any(isinstance(leaf, SystemExit) for leaf in leaves_of(error))

    def _explain(self, error: BaseException) -> None:
        """What may end a process: its death, a store it could not open, the end of the simulation."""
        for leaf in leaves_of(error):
            if isinstance(leaf, trio.Cancelled | KeyboardInterrupt):
                raise error
            closed = isinstance(leaf, RuntimeClosedError) and self.is_dead
            if not closed and not (isinstance(leaf, StoreUnavailableError) and self.rt is None):
                self.stage.history.tell("a process ended with an error", f"{self.name}: {leaf!r}", leaf)

    # Its death.

    def die(self) -> None:
        """Now, as with kill -9."""
        if not self.is_dead:
            self.is_dead = True
            self.stage.history.note(f"{self.name} dies")
            self.stage.scheduler.thaw(self)
            if self.rt is not None:
                crash(self.rt)
            else:
                self._is_gone = True  # there is no runtime yet that could be dropped

    def die_here(self) -> None:
        """In a transaction, of which nothing is to remain."""
        self.die()
        self._is_gone = True
        raise gone()

    def refuse_if_dead(self) -> None:
        if self._is_gone:
            raise gone()

    def freeze_for(self, seconds: float) -> None:
        """Stop all its tasks, as with SIGSTOP, and later let them go on."""
        if not self.is_dead:
            self.stage.watch.froze(self)
            self.stage.freeze(self, seconds)

    # What it tells.

    def told_later(self, changes: Sequence[Changes]) -> None:
        """A commit of its has changed this: its events are to tell so, in this order."""
        self.ears.told_later(changes)

    @property
    def unheard(self) -> list[Told]:
        return self.ears.unheard
