"""The executors of the workload."""

import json
import random
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager

import trio
from chaos.workload import PATIENT, digits

from trio_workflow import Package, Permanent, Retryable, StepContext, StoreUnavailableError

from .workload import (
    LEAVES_COLLECTION,
    PACKAGE,
    Order,
    emits,
    external_body,
    fails_first,
    graph,
    inline_body,
    keeps_external,
    keeps_inline,
    projection_of,
    summands,
)

UPSERT = "INSERT OR REPLACE INTO tallies VALUES (?, ?)"

load = Package(PACKAGE)
load.entrypoint(graph)


def order_of(step: StepContext) -> Order:
    return Order(**json.loads(step.workflow.input))


@contextmanager
def retried_while_locked() -> Generator[None]:
    """A store or projection that stays locked, by a process that was stopped, costs this attempt only."""
    try:
        yield
    except (StoreUnavailableError, sqlite3.OperationalError) as error:
        raise Retryable("locked", error, delay=0.1) from error


@load.executor("leaf")
async def leaf(step: StepContext, number: int) -> int:
    order = order_of(step)
    step.progress(0, 1, "waiting")
    await trio.sleep(random.expovariate(100.0))
    if step.attempt == 1 and fails_first(order, number):
        raise Retryable("flaky")
    with retried_while_locked():
        await leave_products(step, order, number)
    step.progress(1, 1)
    return digits(order.number, number)


async def leave_products(step: StepContext, order: Order, number: int) -> None:
    """The record, the artifacts and the child of a leaf."""
    step.record(LEAVES_COLLECTION, step.id, digits(order.number, number))
    if keeps_inline(number):
        step.artifact("inline", "text/plain", inline_body(order, number))
    if keeps_external(number):
        await step.store_artifact("external", "text/plain", external_body(order, number))
    if emits(number):
        step.emit(f"{step.id}:child", number, kind="child", queue="wide", retry=PATIENT)


@load.executor("thread")
def thread(step: StepContext, number: int) -> int:
    """Runs in a thread, and calls back into the event loop."""
    order = order_of(step)
    if step.saved(int) is None:
        with retried_while_locked():
            trio.from_thread.run(step.save, number)
        if fails_first(order, number):
            raise Retryable("flaky")
    trio.from_thread.check_cancelled()
    trio.from_thread.run(trio.sleep, random.expovariate(200.0))
    with retried_while_locked():
        trio.from_thread.run(leave_products, step, order, number)
    return digits(order.number, number)


@load.executor("child")
async def child(step: StepContext, number: int) -> int:
    return digits(order_of(step).number, "child", number)


@load.executor("rated")
async def rated(step: StepContext) -> int:
    with retried_while_locked():
        await step.save({"attempt": step.attempt})
    return digits(order_of(step).number, "rated")


@load.executor("tally")
async def tally(step: StepContext) -> int:
    """Writes a row of a projection: doing it twice gives the same row."""
    order = order_of(step)
    row = (step.idempotency_key, digits(order.number, "tally"))
    with retried_while_locked():
        projection = await step.projection(projection_of(order))
        if order.number % 3:
            await projection.execute(UPSERT, *row)
        else:
            async with projection.transaction() as tx:
                await tx.execute("DELETE FROM tallies WHERE key = ?", row[0])
                await tx.execute_many(UPSERT, [row])
    return row[1]


@load.executor("trouble")
async def trouble(step: StepContext) -> int:
    """Fails for good, until an operator retries it."""
    if step.attempt == 1:
        raise Permanent("trouble", "an operator must retry this step")
    return digits(order_of(step).number, "trouble")


@load.executor("doomed")
async def doomed(step: StepContext) -> None:
    raise Permanent("doomed")


@load.executor("after")
async def after(step: StepContext) -> int:
    with retried_while_locked():
        error = (await step.dependency_result("doomed")).error
    if error is None or error.code != "doomed":
        raise Permanent("wrong", f"the step doomed has the error {error}")
    return digits(order_of(step).number, "after")


@load.executor("join")
async def join(step: StepContext) -> int:
    with retried_while_locked():
        parts = [await step.dependency_data(name, int) for name in summands(order_of(step))]
    step.emit("proof", kind="proof", queue="joins", retry=PATIENT, depends_on=[step.id])
    return sum(parts)


@load.executor("proof")
async def proof(step: StepContext) -> int:
    with retried_while_locked():
        return await step.dependency_data("join", int) + 1


@load.executor("parked")
async def parked(step: StepContext) -> None:
    """Is due in a day."""
