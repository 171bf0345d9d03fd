"""What a user sees of a run through the public surface, when everything has ended."""

from collections import Counter

from trio_workflow.runtime.runtime import Runtime
from trio_workflow.testing.simulation.expected import SUCCEEDED, ExpectedRun, ExpectedStep

PAGE = 2


async def differences_for_users(rt: Runtime, run: ExpectedRun) -> list[str]:
    """Each is a sentence."""
    found = await rt.workflow(run.id)
    counts = Counter(step.status for step in run.steps.values())
    if found is None or (found.status, +Counter(found.counts)) != (run.status, counts):
        return [f"run {run.id}: {found}, expected {run.status} {counts}"]
    wrong = [text for step in run.steps.values() if (text := await _step(rt, step))]
    listed = await _listed(rt, run.id)
    if listed != list(run.steps):
        wrong.append(f"run {run.id} has steps {listed}, expected {list(run.steps)}")
    if run.id not in [other.id for other in await rt.runs(status=run.status, limit=1000)]:
        wrong.append(f"run {run.id} is not among those that are {run.status}")
    records = len(await rt.records("rows", run_id=run.id))
    if records != sum(step.records for step in run.steps.values()):
        wrong.append(f"run {run.id} has {records} records")
    return wrong


async def _listed(rt: Runtime, run_id: str) -> list[str]:
    """Page by page."""
    page = await rt.steps(run_id, limit=PAGE)
    ids = [step.id for step in page]
    while page.next is not None:
        page = await rt.steps(run_id, limit=PAGE, after=page.next)
        ids += [step.id for step in page]
    return ids


async def _step(rt: Runtime, step: ExpectedStep) -> str | None:
    found, result = await rt.step(step.run.id, step.spec.id), await rt.result(step.run.id, step.spec.id)
    if found is None or (found.status, found.attempt, found.lease) != (step.status, step.attempt, None):
        return f"{step.name} is {found}"
    if result is None:
        return f"{step.name} has no result" if any(step.ends) else None
    data = step.data if step.status is SUCCEEDED else None
    code = None if result.error is None else result.error.code
    seen = (result.data, [attempt.outcome for attempt in result.attempts], code, len(result.artifacts))
    expected = (data, step.ends, step.error, len(step.artifacts))
    return None if seen == expected else f"{step.name} has {seen}, expected {expected}"
