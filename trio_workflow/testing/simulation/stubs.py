"""Executors that do what the seed says: work, emit, write, fail, hang, shield themselves, block."""

import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import trio

from trio_workflow.authoring.executor import Executor, executor
from trio_workflow.authoring.options import optional, require
from trio_workflow.authoring.step_context import StepContext
from trio_workflow.errors import DependencyError, Permanent, Retryable
from trio_workflow.model.payload import loads
from trio_workflow.model.plan import Dependency
from trio_workflow.model.records import StepResult
from trio_workflow.testing.simulation.actor import Actor
from trio_workflow.testing.simulation.expected import SUCCEEDED, ExpectedStep
from trio_workflow.testing.simulation.sights import unlike_result, unlike_run, unlike_step
from trio_workflow.testing.simulation.stage import Stage
from trio_workflow.testing.simulation.workload import step_options
from trio_workflow.testing.simulation.world import OF_STUBS, Fault, Feature

T = TypeVar("T")

GENERATIONS = 2  # how deep children may have children


def make_stub(kind: str, stage: Stage, process: Actor) -> Executor[[StepContext], Any]:
    """An executor for that process; what it does depends on the seed, the step and the attempt."""

    @executor(kind)
    async def stub(step: StepContext) -> None:
        roll = stage.world.random(f"{step.idempotency_key}/{step.attempt}")
        await Stub(step, roll, stage, process).run()

    return stub


class Stub:
    """One attempt."""

    def __init__(self, step: StepContext, roll: random.Random, stage: Stage, process: Actor) -> None:
        self._step, self._roll, self._stage, self._process = step, roll, stage, process
        self._world = stage.world

    async def run(self) -> None:
        self._look_at_claim()
        if self._roll.random() < 0.3:
            await self._look_at_another()
        for feature, use in self._uses().items():
            if self._world.has(feature) and (self._roll.random() < 0.4 or self._always(feature)):
                await use()
        await self._misbehave()
        if self._roll.random() < 0.5:
            await self._take_time(self._roll.random() * self._world.lease * self._roll.choice((0.1, 1.0)))
        self._step.result({"token": self._step.lease.token})
        self._stage.watch.has_finished(self._step.lease.token)

    @property
    def _expected(self) -> ExpectedStep | None:
        """This step, unless its lease is gone: then it may be any way."""
        step = self._stage.oracle.step(self._step.run_id, self._step.id)
        return step if step is not None and step.token == self._step.lease.token else None

    def _look_at_claim(self) -> None:
        """What came with the lease."""
        expected, seen = self._expected, self._step
        if expected is None:
            return
        unlike = [*unlike_step(seen.step, expected), *unlike_run(seen.workflow, expected.run, is_old=True)]
        if (seen.raw_input, seen.attempt) != (expected.spec.input, expected.attempt):
            unlike.append(f"{expected.name} was given {seen.raw_input} for attempt {seen.attempt}")
        if seen.saved() != loads(expected.saved or "null", Any):
            unlike.append(f"{expected.name} was given the checkpoint {seen.saved()}, not {expected.saved}")
        for difference in unlike:
            self._stage.history.tell("an executor saw something else than is stored", difference)

    async def _look_at_another(self) -> None:
        """A step that has succeeded: what it produced can be read, by each of its ids."""
        mine = self._expected
        ended = [s for s in mine.run.steps.values() if s.status is SUCCEEDED] if mine is not None else []
        if mine is None or not ended:
            return
        other = self._roll.choice(ended)
        names = [other.spec.id, *(a for a, real in mine.run.aliases.items() if real == other.spec.id)]
        seen: StepResult | str
        try:
            seen = await self._uncancelled(self._step.dependency_result(self._roll.choice(names)))
        except DependencyError as error:
            seen = str(error)
        if self._expected is not None:
            unlike = [seen] if isinstance(seen, str) else unlike_result(seen, other)
            for difference in unlike:
                self._stage.history.tell("an executor saw something else than is stored", difference)

    def _always(self, feature: Feature) -> bool:
        """A late put meets another one only if every attempt of a step stores the artifact."""
        return feature is Feature.EXTERNAL and self._world.has(Fault.LATE_PUT)

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
                self._step.progress(part, 3)
            await trio.sleep(seconds / 3)

    async def _record(self) -> None:
        for number in range(self._roll.choice((1, 1, 3))):
            self._step.record("rows", f"{self._step.id}.{number}", {"attempt": self._step.attempt})

    async def _inline(self) -> None:
        self._step.artifact("note.txt", "text/plain", self._step.lease.token.encode())

    async def _external(self) -> None:
        same = self._world.has(Feature.SAME_BYTES)
        body = (self._step.idempotency_key if same else self._step.lease.token).encode()
        put = self._step.store_artifact("bytes.bin", "application/x-bytes", body, id="bytes")
        await self._uncancelled(put)

    async def _save(self) -> None:
        await self._uncancelled(self._step.save(self._step.attempt))

    async def _uncancelled(self, call: Awaitable[T]) -> T:
        """A call to a store that is slow is waited for, cancelled or not."""
        self._stage.watch.calls_the_store(self._step.lease.token, True)
        answer = await call
        self._stage.watch.calls_the_store(self._step.lease.token, False)
        return answer

    async def _emit(self) -> None:
        generation = int(self._step.step.metadata.get("generation", "0"))
        if generation >= GENERATIONS:
            return
        emitted: list[str] = []
        for _ in range(self._roll.randint(1, 2)):
            options = step_options(self._world, self._roll)
            options["metadata"] = {"generation": str(generation + 1)}
            asked = {"by": self._step.id} if self._roll.random() < 0.5 else None
            child = self._step.emit("", asked, depends_on=self._needs(emitted), **options)
            emitted.append(child.id)
        run = self._stage.oracle.runs.get(self._step.run_id)
        if run is not None and run.dedup and self._roll.random() < 0.2:  # it is dropped, whatever its id
            options = step_options(self._world, self._roll)
            options["dedup_key"] = self._roll.choice([*run.dedup])
            self._step.emit(f"s{self._roll.randrange(self._world.steps + 2)}", **options)

    def _needs(self, emitted: list[str]) -> Sequence[str | Dependency]:
        """What a child depends on: its emitter, one emitted before, or what is there, by any of its ids."""
        run = self._stage.oracle.runs.get(self._step.run_id)
        there = [] if run is None else [*run.steps, *run.aliases, *run.aliases]
        others = self._roll.sample(there, min(2, len(there)))
        some = self._roll.choice([self._step.id, *emitted[-1:], *others])
        return self._roll.choice(((), require(some), optional(some), require(self._step.id) + optional(some)))

    async def _misbehave(self) -> None:
        faults = [fault for fault in sorted(OF_STUBS) if self._world.has(fault)]
        if self._stage.faults.is_over or not faults or self._roll.random() < 0.6:
            return
        fault = self._roll.choice(faults)
        self._stage.faults.count(fault)
        await getattr(self, f"_{fault}")()

    async def _fail(self) -> None:
        await trio.sleep(self._roll.choice((0.0, 0.5)))
        if self._roll.random() < 0.6:
            raise Retryable("flaky", delay=self._roll.choice((None, None, 0.0, 1.0)))
        raise Permanent("broken") if self._roll.random() < 0.5 else ValueError("wrong")

    async def _hang(self) -> None:
        await trio.sleep(self._world.lease * 3)

    async def _swallow(self) -> None:
        self._stage.watch.is_uncooperative(self._step.lease.token)
        with suppress(trio.Cancelled):
            await trio.sleep(self._world.lease * 2)
        with trio.CancelScope(shield=True):
            await trio.sleep(self._roll.random() * self._world.lease * 2)

    async def _block(self) -> None:
        self._process.freeze_for(self._roll.random() * self._world.lease * 2)
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def _misfit(self) -> None:
        emit = self._step.emit
        match self._roll.randrange(6):
            case 0:
                emit(self._step.id, kind="work")
            case 1:
                emit("a", kind="work", depends_on=["b"])
                emit("b", kind="work", depends_on=optional("a"))
            case 2:
                emit("a", kind="work", depends_on=["a"])
            case 3:
                emit("a", kind="work", depends_on=optional("nobody"))
            case _:
                self._step.record("rows", "lone", "\ud800")
