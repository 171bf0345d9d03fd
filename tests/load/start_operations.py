"""What a client does that starts runs: wait, twice under one id, many at once, canceled on the way."""

import time
from functools import partial

import trio

from trio_workflow import RunExistsError, RunHandle, RunStatus, StepStatus

from .client import Change, Client
from .read_operations import check_row
from .workload import Order

EVENTS = 40


async def start_and_wait(client: Client) -> None:
    handle, order = await client.start()
    await _see_through(client, handle, order)


async def _see_through(client: Client, handle: RunHandle, order: Order) -> None:
    rt = client.rt
    run = await client.see_end(rt, handle.id)
    if run is not None and run.status is RunStatus.SUCCEEDED:
        await client.check_sum(handle.id, order)
        if client.random.random() < 0.5:
            await check_row(client, rt, run)


async def start_twice(client: Client) -> None:
    """The second start of an id finds the run that is there, or refuses."""
    start = client.next_start("sum")
    assert isinstance(start.input, Order)
    for _ in range(2):
        client.note_start("starting", start)
        handle = await client.rt.start_run(
            start.package_name, start.input, run_id=start.run_id, if_exists="return"
        )
        client.note_start("started", start)
    client.note_start("starting", start)
    try:
        await client.rt.start_run(start.package_name, start.input, run_id=start.run_id)
    except RunExistsError:
        await _see_through(client, handle, start.input)
    else:
        client.note_missing(handle.id)  # it was there, and is there again


async def start_many(client: Client) -> None:
    """Several runs in one commit."""
    starts = [client.next_start("sum") for _ in range(client.random.randint(2, 5))]
    for start in starts:
        client.note_start("starting", start)
    handles = await client.rt.start_runs(starts)
    for start in starts:
        client.note_start("started", start)
    async with trio.open_nursery() as nursery:
        for start, handle in zip(starts, handles, strict=True):
            assert isinstance(start.input, Order)
            nursery.start_soon(_see_through, client, handle, start.input)


async def start_parked(client: Client) -> None:
    """A run that nobody may remove, since it does not end."""
    await client.start("parked")


async def start_and_cancel(client: Client) -> None:
    """A run has ended when cancel_run has returned."""
    handle, _ = await client.start(client.random.choice(["sum", "sum", "parked"]))
    await trio.sleep(client.random.uniform(0, 0.3))
    if await client.change(Change.CANCEL, handle.id):
        asked = time.monotonic_ns()
        run = await client.rt.workflow(handle.id)
        if run is None:
            client.note_missing(handle.id)
        elif run.status.is_final:
            client.note_end(run, asked)
        else:
            client.note_wrong(f"{handle.id} is {run.status}, and cancel_run had returned")


async def start_trouble(client: Client) -> None:
    """A run that fails, and that an operator retries until it has succeeded."""
    handle, order = await client.start("trouble")
    while True:
        run = await client.see_end(client.rt, handle.id)
        if run is None or run.status is not RunStatus.FAILED:
            break
        if client.random.random() < 0.5:
            await client.change(Change.RETRY, handle.id)
        else:
            await _retry_steps(client, handle.id)
    if run is not None and run.status is RunStatus.SUCCEEDED:
        await client.check_sum(handle.id, order)


async def _retry_steps(client: Client, run_id: str) -> None:
    rt = client.rt
    for step in await rt.steps(run_id, status=StepStatus.FAILED):
        if not step.allow_failure:
            await client.journaled(Change.RETRY, run_id, partial(rt.retry_step, run_id, step.id))


async def start_and_hear(client: Client) -> None:
    """A run whose events are read, as far as they come within a moment."""
    async with client.rt.events(buffer=client.random.choice((1, 10, 1000))) as stream:
        handle, order = await client.start()
        with trio.move_on_after(0.2):
            for _ in range(EVENTS):
                event = await stream.receive()
                if event.run_id == handle.id and event.status == "succeeded" and event.step_id is None:
                    break
    await _see_through(client, handle, order)


async def start_impatiently(client: Client) -> None:
    """A client that gives up at a random moment, wherever its call is."""
    with trio.move_on_after(client.random.uniform(0, 0.05)):
        await start_and_wait(client)
