"""A process of a simulation: one runtime from its opening to its end, be that orderly or not."""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import trio

from trio_workflow.errors import RuntimeClosedError, StoreUnavailableError
from trio_workflow.model.changes import Changes, StepMove
from trio_workflow.model.event import Event
from trio_workflow.model.status import AttemptOutcome, StepStatus
from trio_workflow.runtime.config import Config
from trio_workflow.runtime.failures import leaves_of
from trio_workflow.runtime.opening import open_runtime
from trio_workflow.runtime.runtime import Runtime
from trio_workflow.testing.crashing import crash
from trio_workflow.testing.simulation.actor import CURRENT, Told
from trio_workflow.testing.simulation.faults import gone
from trio_workflow.testing.simulation.operator import Operator
from trio_workflow.testing.simulation.stage import Stage
from trio_workflow.testing.simulation.world import DISTURBING, QUEUES, Fault


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
        self._to_tell: list[Told] = []  # what its commits changed, as events should tell it
        self.heard = 0
        # Where all is sound, some processes have no workers: what they start is the others' to find.
        has_others = self._world.processes > 1 and not self._world.faults & DISTURBING
        self.only_operates = has_others and stage.world.random(f"mode of {name}").random() < 0.4
        self.has_operated = trio.Event()  # its operators have done all they wanted to
        self.is_at_work = False  # it has workers, and they are not being stopped
        self.waits_for: list[str] = []  # the runs that its operators wait for
        self.serves: frozenset[str] | None = None  # the queues that its workers are for; None: all

    def __repr__(self) -> str:
        return f"<Process {self.name}>"

    # Its life.

    async def live(self, is_last: bool = False) -> None:
        """Open, work, and end as the seed says; the last one works until it is cancelled."""
        CURRENT.set(self)
        try:
            async with open_runtime(self.config) as rt:
                self.rt = rt
                if self.is_dead:  # it died as it opened
                    crash(rt)
                    return
                self.stage.script.set_up(rt, self.stage, self, is_last)
                async with rt.events(buffer=1_000_000) as stream, trio.open_nursery() as nursery:
                    nursery.start_soon(self._hear, stream)
                    await self._work(rt, is_last=is_last)
                    nursery.cancel_scope.cancel()
                running = rt.statistics().running
                if running and not self.is_dead:
                    self.stage.history.tell(
                        "slots are taken although nothing runs", f"{self.name}: {running}"
                    )
        except BaseException as error:
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
            if mode in ("workers", "both"):
                if mode == "workers" and not is_last and self.roll.random() < 0.2:
                    self.serves = frozenset(self.roll.sample(QUEUES, 3))
                await nursery.start(partial(rt.start_workers, queues=self.serves))
                self.is_at_work = True
            if mode in ("cycles", "both"):
                nursery.start_soon(self._cycle, rt)
            await self._until_the_end(rt, is_last=is_last)
            self.is_at_work = False
            nursery.cancel_scope.cancel()

    async def _operate(self, rt: Runtime) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(self.roll.choice((1, 1, 2, 3))):
                nursery.start_soon(Operator(self.stage, self, rt, number).operate)
        self.has_operated.set()

    async def _cycle(self, rt: Runtime) -> None:
        while True:
            with suppress(StoreUnavailableError):
                await rt.run_once()
            await trio.sleep(0.5)

    async def _until_the_end(self, rt: Runtime, *, is_last: bool) -> None:
        if is_last:
            await trio.sleep_forever()
        restarts = self._faults.roll(Fault.RESTART).random() * self._world.duration
        with trio.move_on_after(restarts if self._world.has(Fault.RESTART) else float("inf")) as scope:
            await self.stage.faults_are_over.wait()
        if scope.cancelled_caught:
            self.is_at_work = False
            self._faults.count(Fault.RESTART)
            if self.roll.random() < 0.5:
                with trio.move_on_after(5 * self._world.lease):
                    await rt.drain()

    def _explain(self, error: BaseException) -> None:
        """What may end a process: its death, a store it could not open, the end of the simulation."""
        for leaf in leaves_of(error):
            if isinstance(leaf, trio.Cancelled):
                raise error
            closed = isinstance(leaf, RuntimeClosedError) and self.is_dead
            if not closed and not (isinstance(leaf, StoreUnavailableError) and self.rt is None):
                self.stage.history.tell("a process ended with an error", f"{self.name}: {leaf!r}")

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
        self._to_tell.extend(told for change in changes for move in change.steps for told in _events_of(move))

    async def _hear(self, stream: trio.abc.ReceiveChannel[Event]) -> None:
        async for event in stream:
            if event.step_id is None:
                continue
            told: Told = (event.kind, event.run_id, event.step_id, event.attempt)
            expected = self._to_tell[self.heard] if self.heard < len(self._to_tell) else None
            self.heard += 1
            if told != expected:
                self.stage.history.tell("events are not what was committed", f"{told}, not {expected}")

    @property
    def unheard(self) -> list[Told]:
        return self._to_tell[self.heard :]


_KINDS: dict[Any, str] = {
    StepStatus.RUNNING: "step_leased",
    StepStatus.SUCCEEDED: "step_succeeded",
    StepStatus.FAILED: "step_failed",
    StepStatus.CANCELED: "step_canceled",
    AttemptOutcome.RETRIED: "step_retried",
    AttemptOutcome.TIMEOUT: "step_retried",
    AttemptOutcome.RELEASED: "step_released",
}


def _events_of(move: StepMove) -> list[Told]:
    kinds = ["lease_lost"] if move.outcome is AttemptOutcome.LEASE_LOST else []
    kind = _KINDS.get(move.status) or _KINDS.get(move.outcome)
    return [(kind, move.run_id, move.step_id, move.attempt) for kind in [*kinds, kind] if kind is not None]
