"""What a client reads: lists and pages, results, artifacts, projections, checks and statistics."""

import time
from functools import partial

import trio
from chaos.workload import digits

from trio_workflow import ArtifactNotFoundError, RunStatus, Runtime, StepStatus, WorkflowRun

from .client import Client, order_of
from .workload import (
    LEAVES_COLLECTION,
    PACKAGE,
    external_body,
    inline_body,
    keeps_external,
    keeps_inline,
    projection_of,
)

PAGES = 4
NOTED = 2
"""How many ends of a page are journaled."""


async def list_runs(client: Client) -> None:
    """Some pages, newest first; of some runs that have ended the end is journaled."""
    rt, after = client.rt, None
    status = client.random.choice((None, RunStatus.SUCCEEDED, RunStatus.CANCELED))
    metadata = client.random.choice((None, {"shape": "trouble"}))
    for _ in range(PAGES):
        asked = time.monotonic_ns()
        page = await rt.runs(
            package=PACKAGE, status=status, metadata=metadata, limit=client.random.randint(1, 20), after=after
        )
        for place, run in enumerate(page):
            if status is not None and run.status is not status:
                client.note_wrong(f"runs(status={status}) returned {run.id}, which is {run.status}")
            if run.status.is_final and place < NOTED:
                client.note_end(run, asked)
        after = page.next
        if after is None:
            break


async def _pick_succeeded(client: Client, rt: Runtime) -> WorkflowRun | None:
    page = await rt.runs(status=RunStatus.SUCCEEDED, limit=client.random.randint(1, 30))
    return client.random.choice(list(page)) if page else None


async def list_steps(client: Client) -> None:
    """All steps of a run that has succeeded, by small pages."""
    rt = client.rt
    run = await _pick_succeeded(client, rt)
    if run is None:
        return
    after, found = None, 0
    while True:
        page = await rt.steps(run.id, limit=client.random.randint(1, 10), after=after)
        for step in page:
            if step.status is not StepStatus.SUCCEEDED and not step.allow_failure:
                client.note_wrong(f"{run.id} has succeeded, and its step {step.id} is {step.status}")
        found, after = found + len(page), page.next
        if after is None:
            break
    if found != sum(run.counts.values()):
        await client.check_gone(rt, run.id, f"steps() has {found} of {dict(run.counts)}")


async def list_records(client: Client) -> None:
    rt = client.rt
    run = await _pick_succeeded(client, rt)
    if run is None:
        return
    order, after = order_of(run), None
    found: dict[str, str] = {}
    while True:
        page = await rt.records(LEAVES_COLLECTION, run_id=run.id, limit=3, after=after)
        found |= {record.key: record.data for record in page}
        after = page.next
        if after is None:
            break
    wanted = {f"leaf-{n}": str(digits(order.number, n)) for n in range(order.leaves)}
    if found != wanted:
        await client.check_gone(rt, run.id, f"it has the records {found}")


async def read_results(client: Client) -> None:
    rt = client.rt
    run = await _pick_succeeded(client, rt)
    if run is not None:
        await client.check_sum(run.id, order_of(run))


async def read_artifacts(client: Client) -> None:
    """Every artifact of a run that has succeeded has the bytes that follow from its input."""
    rt = client.rt
    run = await _pick_succeeded(client, rt)
    if run is None:
        return
    order = order_of(run)
    for leaf in range(order.leaves):
        if keeps_inline(leaf):
            await _read_artifact(client, rt, run.id, f"leaf-{leaf}", "inline", inline_body(order, leaf))
        if keeps_external(leaf):
            await _read_artifact(client, rt, run.id, f"leaf-{leaf}", "external", external_body(order, leaf))


async def _read_artifact(
    client: Client, rt: Runtime, run_id: str, step_id: str, name: str, wanted: bytes
) -> None:
    try:
        async with rt.open_artifact(run_id, step_id, name) as reader:
            body = await reader.read()
    except ArtifactNotFoundError as error:
        await client.check_gone(rt, run_id, f"its artifact is not: {error}")
        return
    if body != wanted:
        client.note_wrong(f"{run_id}/{step_id}/{name} has {len(body)} bytes that are not the right ones")


async def read_projection(client: Client) -> None:
    rt = client.rt
    run = await _pick_succeeded(client, rt)
    if run is not None:
        await check_row(client, rt, run)


async def check_row(client: Client, rt: Runtime, run: WorkflowRun) -> None:
    """The row of a run that has succeeded was committed before its step was."""
    order = order_of(run)
    projection = await rt.projection(projection_of(order))
    rows = await projection.query("SELECT value FROM tallies WHERE key = ?", f"{run.id}/tally")
    if rows != [{"value": digits(order.number, "tally")}]:
        client.note_wrong(f"{run.id} has succeeded, and its projection has {rows}")


async def check(client: Client) -> None:
    for violation in await client.rt.check():
        client.note_wrong(f"check() reports {violation}")


async def read_statistics(client: Client) -> None:
    rt = client.rt
    statistics = rt.statistics()
    if min([statistics.running, *statistics.borrowed.values(), *statistics.free.values()]) < 0:
        client.note_wrong(f"statistics are below 0: {statistics}")
    await rt.queues()


async def read_impatiently(client: Client) -> None:
    """A client that gives up at a random moment."""
    read = client.random.choice((list_runs, list_records, read_results, read_artifacts))
    with trio.move_on_after(client.random.uniform(0, 0.01)):
        await partial(read, client)()
