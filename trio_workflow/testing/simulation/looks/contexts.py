"""What an executor sees through its context, held against what is stored."""

from collections.abc import Iterator
from typing import Any

from trio_workflow.authoring.step_context import StepContext
from trio_workflow.errors import DependencyError, WorkflowError
from trio_workflow.model.payload import loads
from trio_workflow.testing.simulation.expected.runs import ExpectedStep
from trio_workflow.testing.simulation.expected.sights import unlike_result, unlike_run, unlike_step
from trio_workflow.testing.simulation.stage import Stage


def look_at_context(stage: Stage, context: StepContext) -> None:
    """Called as the executor starts: what came with its lease. A step that has lost it may be any way."""
    _look_at_ended(stage, context)
    expected = stage.oracle.running.get(context.lease.token)
    if expected is not None:
        _tell(stage, _unlike_claim(context, expected))


def _unlike_claim(context: StepContext, expected: ExpectedStep) -> Iterator[str]:
    yield from unlike_step(context.step, expected)
    yield from unlike_run(context.workflow, expected.run, is_old=True)
    seen, wanted = (context.raw_input, context.attempt), (expected.spec.input, expected.attempt)
    if seen != wanted:
        yield f"{expected.name} was given {seen}, expected {wanted}"
    if context.saved() != loads(expected.saved or "null", Any):
        yield f"{expected.name} was given the checkpoint {context.saved()}, not {expected.saved}"


def _look_at_ended(stage: Stage, context: StepContext) -> None:
    """The context before this one can no longer be used, if its attempt has ended."""
    before, stage.last_context = stage.last_context, context
    if before is None or before.lease.token in stage.watch.executions:
        return
    try:
        before.record("rows", "late", None)
    except WorkflowError:
        return
    stage.history.tell("a context can be used after its attempt", before.idempotency_key)


async def look_at_another(stage: Stage, context: StepContext) -> None:
    """A step of the run that has ended, however it did: its result can be read, by any of its ids."""
    roll = stage.world.random(f"look from {context.lease.token}")
    mine = stage.oracle.running.get(context.lease.token)
    ended = [step for step in mine.run.steps.values() if step.status.is_final] if mine is not None else []
    if mine is None or not ended:
        return
    other = roll.choice(ended)
    ended_at = other.finished_at
    names = [other.spec.id, *(alias for alias, real in mine.run.aliases.items() if real == other.spec.id)]
    try:
        unlike = list(unlike_result(await context.dependency_result(roll.choice(names)), other))
    except DependencyError as error:
        unlike = [str(error)]
    if context.lease.token in stage.oracle.running and other.finished_at == ended_at:  # it was not retried
        _tell(stage, unlike)


async def look_at_itself(stage: Stage, context: StepContext) -> None:
    """A step that goes on has produced nothing yet."""
    try:
        await context.dependency_result(context.id)
    except DependencyError:
        return
    if context.lease.token in stage.oracle.running:
        _tell(stage, [f"{context.idempotency_key} goes on, and its result could be read"])


def _tell(stage: Stage, unlike: Iterator[str] | list[str]) -> None:
    for difference in unlike:
        stage.history.tell("an executor saw something else than is stored", difference)
