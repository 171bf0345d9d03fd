"""What an executor sees: its own step, what earlier attempts saved, what its dependencies produced."""

import trio

from trio_workflow.authoring.step_context import StepContext
from trio_workflow.errors import DependencyError, WorkflowError
from trio_workflow.model.payload import loads
from trio_workflow.testing.simulation.expected import SUCCEEDED, ExpectedStep
from trio_workflow.testing.simulation.stage import Stage


def look_at_context(stage: Stage, context: StepContext) -> None:
    """Called as the executor starts. What is no longer under lease cannot be told from what comes after."""
    _look_at_ended(stage, context)
    step = stage.oracle.running.get(context.lease.token)
    if step is None:
        return
    seen = (context.kind, context.attempt, context.raw_input, context.saved(), context.step.queue)
    saved = None if step.saved is None else loads(step.saved, int)
    expected = (step.spec.kind, step.attempt, step.spec.input, saved, step.spec.queue)
    if seen != expected:
        stage.history.tell("an executor sees another step than its own", f"{seen}, not {expected}")


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


async def look_at_dependencies(stage: Stage, context: StepContext) -> None:
    """Each that succeeded is read, by its id, and must be what was stored."""
    step = stage.oracle.running.get(context.lease.token)
    if step is None:
        await trio.lowlevel.checkpoint()
        return
    for needed in [step.run.steps[step_id] for step_id in step.needs]:
        if needed.status is SUCCEEDED:
            await _look_at(stage, context, needed)


async def _look_at(stage: Stage, context: StepContext, needed: ExpectedStep) -> None:
    try:
        result = await context.dependency_result(needed.spec.id)
    except DependencyError as error:
        if context.lease.token in stage.oracle.running:
            stage.history.tell("a dependency's result is not there", f"{error}")
        return
    seen = (result.data, len(result.records), len(result.artifacts), list(result.emitted_ids))
    expected = (needed.data, needed.records, len(needed.artifacts), needed.emitted)
    if context.lease.token in stage.oracle.running and seen != expected:
        stage.history.tell("a dependency's result is not what was stored", f"{seen}, not {expected}")
