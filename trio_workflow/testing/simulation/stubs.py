"""Executors that do what the seed says: work, emit, write, fail, hang, shield themselves, block.

They tell the watch what they made and how they end, so that it knows what their attempts must hand in.
"""

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import trio
from trio.testing import MockClock

from trio_workflow.authoring.executor import Executor, executor
from trio_workflow.authoring.options import optional
from trio_workflow.authoring.step_context import StepContext
from trio_workflow.errors import Permanent, Retryable
from trio_workflow.model.payload import dumps
from trio_workflow.testing.simulation.actor import Actor
from trio_workflow.testing.simulation.products import Made
from trio_workflow.testing.simulation.sights import look_at_context, look_at_dependencies
from trio_workflow.testing.simulation.stage import Stage
from trio_workflow.testing.simulation.workload import step_options
from trio_workflow.testing.simulation.world import OF_STUBS, Fault, Feature

GENERATIONS = 2  # how deep children may have children


def make_stub(kind: str, stage: Stage, process: Actor) -> Executor[[StepContext], Any]:
    """An executor for that process; what it does depends on the seed, the step and the attempt."""

    @executor(kind)
    async def stub(step: StepContext) -> object:
        roll = stage.world.random(f"{step.idempotency_key}/{step.attempt}")
        return await Stub(step, roll, stage, process).run()

    return stub


class Stub:
    """One attempt."""

    def __init__(self, step: StepContext, roll: random.Random, stage: Stage, process: Actor) -> None:
        self._step, self._roll, self._stage, self._process = step, roll, stage, process
        self._world = stage.world
        self._records = self._artifacts = self._emitted = 0  # so many it made
        # A stream of its own: what is looked at leaves what is done where it was.
        self._aside = stage.world.random(f"aside {step.idempotency_key}/{step.attempt}")

    async def run(self) -> object:
        """Answers the result, or None if it was set."""
        look_at_context(self._stage, self._step)
        self._step.result("what counts is told last")
        if self._aside.random() < 0.3:
            await self._uncancelled(look_at_dependencies(self._stage, self._step))
        for feature, use in self._uses().items():
            if self._world.has(feature) and self._roll.random() < 0.4:
                await use()
        await self._misbehave()
        if self._roll.random() < 0.5:
            self._stage.watch.may_be_interrupted(self._step.lease.token)
            await trio.sleep(self._roll.random() * self._world.lease * self._roll.choice((0.1, 1.0)))
        if self._world.keeps_leases and self._aside.random() < 0.2:
            self._tell_progress()
            await trio.sleep(self._world.lease * (0.5 + 2 * self._aside.random()))
        may_block = self._world.processes == 1 and self._world.has(Fault.BLOCK)
        if may_block and not self._stage.faults.is_over and self._aside.random() < 0.2:
            await self._hold_up(self._world.lease * (0.5 + self._aside.random()))
        token = self._step.lease.token
        result = {"token": token}
        made = Made(dumps(result), self._records, self._artifacts, self._emitted)
        self._stage.watch.has_finished(token, made)
        if self._aside.random() < 0.5:
            return result
        self._step.result(result)
        return None

    def _uses(self) -> dict[Feature, Callable[[], Awaitable[None]]]:
        return {
            Feature.RECORDS: self._record,
            Feature.INLINE: self._inline,
            Feature.EXTERNAL: self._external,
            Feature.SAVE: self._save,
            Feature.EMIT: self._emit,
        }

    async def _record(self) -> None:
        self._step.record("rows", self._step.id, {"attempt": self._step.attempt})
        self._records += 1

    async def _inline(self) -> None:
        self._step.artifact("note.txt", "text/plain", self._step.lease.token.encode())
        self._artifacts += 1

    async def _external(self) -> None:
        body = self._step.lease.token.encode()
        await self._uncancelled(self._step.store_artifact("bytes.bin", "application/x-bytes", body))
        self._artifacts += 1

    async def _save(self) -> None:
        await self._uncancelled(self._step.save(self._step.attempt))
        self._tell_progress()

    def _tell_progress(self) -> None:
        self._step.progress(self._step.attempt)
        self._stage.watch.told_progress(self._step.lease.token)

    async def _uncancelled(self, call: Awaitable[object]) -> None:
        """A call to a store that is slow is waited for, cancelled or not."""
        self._stage.watch.calls_the_store(self._step.lease.token, True)
        await call
        self._stage.watch.calls_the_store(self._step.lease.token, False)

    async def _emit(self) -> None:
        generation = int(self._step.step.metadata.get("generation", "0"))
        if generation >= GENERATIONS:
            return
        for _ in range(self._roll.randint(1, 2)):
            on = self._roll.choice(((), (self._step.id,), optional(self._step.id), ("s0",)))
            options = step_options(self._world, self._roll)
            metadata = {"generation": str(generation + 1)}
            self._step.emit("", self._step.id, depends_on=on, metadata=metadata, **options)
            self._emitted += 1

    async def _misbehave(self) -> None:
        faults = [fault for fault in sorted(OF_STUBS) if self._world.has(fault)]
        if self._stage.faults.is_over or not faults or self._roll.random() < 0.6:
            return
        fault = self._roll.choice(faults)
        self._stage.faults.count(fault)
        await getattr(self, f"_{fault}")()

    async def _fail(self) -> None:
        await trio.sleep(self._roll.choice((0.0, 0.5)))
        if self._aside.random() < 0.1:
            self._process.interrupted_by(self._step.lease.token)
            raise SystemExit("an executor asks the program to end")
        if self._roll.random() < 0.6:
            delay = self._roll.choice((None, 0.0, 1.0))
            self._raises("flaky", True, delay)
            raise Retryable("flaky", delay=delay)
        is_broken = self._roll.random() < 0.5
        self._raises("broken" if is_broken else "executor_error")
        raise Permanent("broken") if is_broken else ValueError("wrong")

    def _raises(self, code: str, retryable: bool = False, delay: float | None = None) -> None:
        self._stage.watch.raises(self._step.lease.token, (code, retryable, delay))

    async def _hang(self) -> None:
        await trio.sleep(self._world.lease * 3)

    async def _swallow(self) -> None:
        self._stage.watch.is_uncooperative(self._step.lease.token)
        with suppress(trio.Cancelled):
            await trio.sleep(self._world.lease * 2)
        with trio.CancelScope(shield=True):
            await trio.sleep(self._roll.random() * self._world.lease * 2)

    async def _block(self) -> None:
        seconds = self._roll.random() * self._world.lease * 2
        if self._world.processes == 1 and self._aside.random() < 0.8:
            await self._hold_up(seconds)
            return
        self._process.freeze_for(seconds)
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def _hold_up(self, seconds: float) -> None:
        """Nobody else gets a turn meanwhile: deadlines pass, and nobody is told of them."""
        watch, token, clock = self._stage.watch, self._step.lease.token, trio.lowlevel.current_clock()
        assert isinstance(clock, MockClock)
        watch.blocks(self._process)
        watch.is_not_interrupted(token)
        clock.jump(seconds)
        if self._aside.random() < 0.4:
            watch.may_be_interrupted(token)
            try:
                await trio.sleep(0.1)
            except trio.Cancelled:
                watch.was_interrupted(token)

    async def _misfit(self) -> None:
        if self._roll.random() < 0.5:
            self._step.emit(self._step.id, kind="work")
            self._emitted += 1
        else:
            self._raises("invalid_output")
            self._step.record("rows", "lone", "\ud800")
