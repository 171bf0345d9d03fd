"""What a runtime reads of runs, steps, results, records and queues: asked through the public surface."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from trio_workflow.model.records import Page, Record
from trio_workflow.model.status import StepStatus
from trio_workflow.runtime.runtime import Runtime
from trio_workflow.testing.simulation.expected.runs import ExpectedRun, all_steps
from trio_workflow.testing.simulation.expected.sights import (
    unlike_queues,
    unlike_result,
    unlike_run,
    unlike_step,
)
from trio_workflow.testing.simulation.stage import Stage

T = TypeVar("T")


async def look_at_queues(stage: Stage, rt: Runtime) -> list[str]:
    """What is told otherwise than expected."""
    seen, steps = await rt.queues(), all_steps(stage.oracle.runs.values())
    return list(unlike_queues(seen, steps, stage.oracle.queues, stage.world.default_queue))


async def look_at_runs(stage: Stage, rt: Runtime) -> list[str]:
    """All runs, newest first, on small pages; and of each that they are listed by their metadata."""
    listed = await _all_pages(lambda after: rt.runs(limit=2, after=after))
    if [run.id for run in listed] != list(reversed(stage.oracle.runs)):
        return [f"the runs {[run.id for run in listed]} are listed, expected {list(stage.oracle.runs)}"]
    found = [told for run in listed for told in unlike_run(run, stage.oracle.runs[run.id])]
    for run in stage.oracle.runs.values():
        for entry in run.spec.metadata.items():
            by_entry = await rt.runs(metadata=dict([entry]), status=run.status, package=run.spec.package)
            if run.id not in [other.id for other in by_entry]:
                found.append(f"run {run.id} is not listed by {entry}")
    return found


async def look_at_run(rt: Runtime, run: ExpectedRun) -> list[str]:
    """One run, its steps in all and by status, their results, its records."""
    expected = list(run.steps.values())
    seen = await rt.workflow(run.id)
    steps = await _all_pages(lambda after: rt.steps(run.id, limit=3, after=after))
    found = [f"run {run.id} is not there"] if seen is None else list(unlike_run(seen, run))
    if [step.id for step in steps] != [step.spec.id for step in expected]:
        return [*found, f"run {run.id} lists {[step.id for step in steps]}, expected {list(run.steps)}"]
    for step, wanted in zip(steps, expected, strict=True):
        found += unlike_step(step, wanted)
        result = await rt.result(run.id, step.id) if any(wanted.ends) else None
        found += () if result is None else unlike_result(result, wanted)
    for status in StepStatus:
        by_status = [step.id for step in await rt.steps(run.id, status=status)]
        if by_status != [step.spec.id for step in expected if step.status is status]:
            found.append(f"run {run.id} lists {by_status} as {status}")
    return found + await _look_at_records(rt, run)


async def _look_at_records(rt: Runtime, run: ExpectedRun) -> list[str]:
    """Of every collection that the run has written to."""
    wrote: dict[str, list[tuple[str, str, str]]] = {}
    for step in run.steps.values():
        for record in step.product.records if step.product else ():
            wrote.setdefault(record.collection, []).append((step.spec.id, record.key, record.data))
    lists = {collection: await _records_of(rt, run.id, collection) for collection in wrote}
    return [
        f"run {run.id} lists {len(rows)} records in {collection}, expected {len(wrote[collection])}"
        for collection, rows in lists.items()
        if sorted((row.step_id, row.key, row.data) for row in rows) != sorted(wrote[collection])
    ]


async def _records_of(rt: Runtime, run_id: str, collection: str) -> list[Record]:
    return await _all_pages(lambda after: rt.records(collection, run_id=run_id, limit=2, after=after))


async def _all_pages(read: Callable[[str | None], Awaitable[Page[T]]]) -> list[T]:
    page = await read(None)
    items = list(page)
    while page.next is not None:
        page = await read(page.next)
        items += page
    return items
