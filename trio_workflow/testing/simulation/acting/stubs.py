"""Executors that do what the seed says: work, emit, write, fail, hang, shield themselves, block.

They tell the watch what they made and how they end, so that it knows what their attempts must hand in.
"""

import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import attrs
import trio
from trio.testing import MockClock

from trio_workflow.authoring.executor import Executor, executor
from trio_workflow.authoring.step_context import StepContext
from trio_workflow.errors import Permanent, Retryable
from trio_workflow.model.outcome import RecordWrite
from trio_workflow.model.payload import dumps
from trio_workflow.testing.simulation.acting.workload import dependencies, step_options
from trio_workflow.testing.simulation.actor import Actor
from trio_workflow.testing.simulation.expected.asked import Needs, as_asked
from trio_workflow.testing.simulation.looks.contexts import look_at_another, look_at_context, look_at_itself
from trio_workflow.testing.simulation.stage import Stage
from trio_workflow.testing.simulation.watching.products import Made
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
        self._made = Made("", [], [], [])
        # A stream of its own: what is looked at leaves what is done where it was.
        self._aside = stage.world.random(f"aside {step.idempotency_key}/{step.attempt}")

    async def run(self) -> object:
        """Answers the result, or None if it was set."""
        look_at_context(self._stage, self._step)
        self._step.result("what counts is told last")
        if self._roll.random() < 0.3:
            look = look_at_another if self._aside.random() < 0.8 else look_at_itself
            await self._uncancelled(look(self._stage, self._step))
        for feature, use in self._uses().items():
            if self._world.has(feature) and (self._roll.random() < 0.4 or self._always(feature)):
                await use()
        await self._misbehave()
        if self._roll.random() < 0.5:
            self._stage.watch.may_be_interrupted(self._step.lease.token)
            await self._take_time(self._roll.random() * self._world.lease * self._roll.choice((0.1, 1.0)))
        if self._world.keeps_leases and self._aside.random() < 0.2:
            self._tell_progress(self._step.attempt)
            await trio.sleep(self._world.lease * (0.5 + 2 * self._aside.random()))
        may_block = self._world.processes == 1 and self._world.has(Fault.BLOCK)
        if may_block and not self._stage.faults.is_over and self._aside.random() < 0.2:
            await self._hold_up(self._world.lease * (0.5 + self._aside.random()))
        token = self._step.lease.token
        result = {"token": token}
        self._stage.watch.has_finished(token, attrs.evolve(self._made, data=dumps(result)))
        if self._aside.random() < 0.5:
            return result
        self._step.result(result)
        return None

    def _always(self, feature: Feature) -> bool:
        """A late put, or checkpoint, meets another one only if every attempt of a step makes one."""
        return feature in (Feature.EXTERNAL, Feature.SAVE) and self._world.has(Fault.LATE_PUT)

    def _uses(self) -> dict[Feature, Callable[[], Awaitable[None]]]:
        return {
            Feature.RECORDS: self._record,
            Feature.INLINE: self._inline,
            Feature.EXTERNAL: self._external,
            Feature.SAVE: self._save,
            Feature.EMIT: self._emit,
        }

    async def _take_time(self, seconds: float) -> None:
        for part in range(3):
            if self._world.has(Feature.SAVE):
                self._tell_progress(part)
            await trio.sleep(seconds / 3)

    async def _record(self) -> None:
        for number in range(self._roll.choice((1, 1, 3))):
            key, data = f"{self._step.id}.{number}", {"attempt": self._step.attempt, "number": number}
            self._step.record("rows", key, data)
            self._made.records.append(RecordWrite("rows", key, dumps(data)))

    async def _inline(self) -> None:
        body, metadata = self._step.lease.token.encode(), {"of": self._step.id}
        self._step.artifact("note.txt", "text/plain", body, metadata=metadata)
        self._made.artifacts.append(("note.txt", "text/plain", metadata, len(body)))

    async def _external(self) -> None:
        same = self._world.has(Feature.SAME_BYTES)
        body = (self._step.idempotency_key if same else self._step.lease.token).encode()
        put = self._step.store_artifact("bytes.bin", "application/x-bytes", body, id="bytes")
        await self._uncancelled(put)
        self._made.artifacts.append(("bytes.bin.ref.json", "application/json", {}, len(body)))

    async def _save(self) -> None:
        self._stage.faults.saving.add(self._process)
        await self._uncancelled(self._step.save(self._step.attempt))
        if self._step.saved() != self._step.attempt:
            self._stage.history.tell("who saved a checkpoint does not see it", self._step.idempotency_key)
        self._tell_progress(self._step.attempt)

    def _tell_progress(self, done: int) -> None:
        self._step.progress(done, 3)
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
        emitted: list[str] = []
        for _ in range(self._roll.randint(1, 2)):
            options = step_options(self._world, self._roll)
            options["metadata"] = {"generation": str(generation + 1)}
            asked = {"by": self._step.id} if self._roll.random() < 0.5 else None
            emitted.append(self._emits("", asked, self._needs(emitted), **options))
        run = self._stage.oracle.runs.get(self._step.run_id)
        if run is not None and run.dedup and self._roll.random() < 0.2:  # it is dropped, whatever its id
            options = step_options(self._world, self._roll)
            options["dedup_key"] = self._roll.choice([*run.dedup])
            self._emits(f"s{self._roll.randrange(self._world.steps + 2)}", **options)

    def _emits(self, step_id: str, given: object = None, needs: Needs = (), **options: Any) -> str:
        made = self._step.emit(step_id, given, depends_on=dependencies(needs), **options).id
        mine, retry = self._step.step, self._process.config.default_retry
        usual = {"package": mine.package, "parent_id": mine.id, "retry": retry}
        self._made.emitted.append(as_asked(made, given, needs, options, **usual))
        return made

    def _needs(self, emitted: list[str]) -> Needs:
        """What a child depends on: its emitter, one emitted before, or what is there, by any of its ids."""
        run = self._stage.oracle.runs.get(self._step.run_id)
        there = [] if run is None else [*run.steps, *run.aliases, *run.aliases]
        others = self._roll.sample(there, min(2, len(there)))
        some = self._roll.choice([self._step.id, *emitted[-1:], *others])
        mine = (self._step.id, True)
        return self._roll.choice(((), [(some, True)], [(some, False)], [mine, (some, False)]))

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
            self._process.interrupted()
            raise SystemExit("an executor asks the program to end")
        if self._roll.random() < 0.6:
            self._fail_for_now(self._roll.choice((None, None, 0.0, 1.0)))
        is_broken = self._roll.random() < 0.5
        self._raises("broken" if is_broken else "executor_error")
        raise Permanent("broken") if is_broken else ValueError("wrong")

    def _fail_for_now(self, delay: float | None) -> None:
        """As it is, or in a group: there a permanent one decides, else the first, with the longest delay."""
        flaky, other = Retryable("flaky", delay=delay), Retryable("other", delay=0.5)
        match self._aside.randrange(5):
            case 0:
                self._raises("flaky", True, max(0.5, delay or 0.0))
                raise ExceptionGroup("", [flaky, ExceptionGroup("", [ValueError(), other])])
            case 1:
                self._raises("broken")
                raise ExceptionGroup("", [flaky, Permanent("broken")])
            case _:
                self._raises("flaky", True, delay)
                raise flaky

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
        match self._roll.randrange(6):
            case 0:
                self._emits(self._step.id, kind="work")
            case 1:
                self._emits("a", needs=[("b", True)], kind="work")
                self._emits("b", needs=[("a", False)], kind="work")
            case 2:
                self._emits("a", needs=[("a", True)], kind="work")
            case 3:
                self._emits("a", needs=[("nobody", False)], kind="work")
            case 4:
                self._raises("payload_too_large")
                self._step.record("rows", "long", "x" * self._process.config.max_payload)
            case _:
                self._raises("invalid_output")
                self._step.record("rows", "lone", "\ud800")
