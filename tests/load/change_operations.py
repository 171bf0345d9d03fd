"""What a client does to runs that it finds, its own or others', and to the limit of a queue."""

from trio_workflow import QueueConfig, RunStatus, Runtime, WorkflowRun

from .client import Change, Client
from .settings import config_of, opened
from .workload import ELASTIC

PRUNE_AFTER = (4.0, 8.0)
"""Seconds since their end after which a client prunes runs, at least and at most."""


async def _pick(client: Client, status: RunStatus) -> WorkflowRun | None:
    """A run of that status, from one of the first pages."""
    rt, after = client.rt, None
    while True:
        page = await rt.runs(status=status, limit=20, after=after)
        if page and (page.next is None or client.random.random() < 0.5):
            return client.random.choice(list(page))
        after = page.next
        if after is None:
            return None


async def cancel_some(client: Client) -> None:
    status = client.random.choice((RunStatus.RUNNING, RunStatus.PENDING))
    run = await _pick(client, status)
    if run is not None:
        await client.change(Change.CANCEL, run.id)


async def retry_some(client: Client) -> None:
    run = await _pick(client, RunStatus.FAILED)
    if run is not None:
        await client.change(Change.RETRY, run.id)


async def delete_some(client: Client) -> None:
    status = client.random.choice((RunStatus.SUCCEEDED, RunStatus.CANCELED, RunStatus.SUCCEEDED))
    run = await _pick(client, status)
    if run is not None:
        await client.change(Change.DELETE, run.id)


async def delete_own(client: Client) -> None:
    """Start a run, see its end, and delete it."""
    handle, _ = await client.start()
    if await client.see_end(client.rt, handle.id) is not None:
        await client.change(Change.DELETE, handle.id)


async def delete_bulk(client: Client) -> None:
    """The database grows by megabytes, and gets shorter again."""
    handle, _ = await client.start("bulk")
    if await client.change(Change.CANCEL, handle.id):
        await client.change(Change.DELETE, handle.id)


async def prune(client: Client) -> None:
    """Which runs it removes follows from when they ended."""
    client.calls += 1
    older_than, call = client.random.uniform(*PRUNE_AFTER), f"{client.name}/{client.calls}"
    client.journal.note("pruning", older_than=older_than, call=call)
    count = await client.rt.prune(older_than)
    client.journal.note("pruned", count=count, call=call)


async def change_limit(client: Client) -> None:
    """A second runtime in this process, for a moment: how the limit of a queue is changed."""
    limit = client.random.randint(4, 32)
    config = config_of(client.site, f"{client.name}-limit", queues={ELASTIC: QueueConfig(max_workers=limit)})
    async with opened(config) as second:
        await _use(client, second)


async def _use(client: Client, second: Runtime) -> None:
    if client.random.random() < 0.5:
        await second.queues()
    if client.random.random() < 0.5:
        await second.runs(limit=5)
