"""The executors of the workload. Each notes in a journal when it physically begins and ends."""

import json
import random
import time
from collections.abc import Generator
from contextlib import contextmanager

import trio

from trio_workflow import Package, Permanent, Retryable, StepContext

from .journal import Journal
from .workload import (
    BULK,
    PACKAGE,
    PATIENT,
    RECORDS,
    Order,
    body,
    bulky_graph,
    digits,
    emits,
    failures,
    graph,
    keeps_external,
    keeps_inline,
    summands,
)

chaos = Package(PACKAGE)
chaos.entrypoint(graph)
bulk = Package(BULK)
bulk.entrypoint(bulky_graph)
journals: list[Journal] = []
"""Where executions are noted: this process's journal."""


@contextmanager
def noted(step: StepContext) -> Generator[Order]:
    """The run's input, within a physical execution. An artifact store whose disk is full is tried again."""
    facts = {"run": step.run_id, "step": step.id, "attempt": step.attempt, "token": step.lease.token}
    [journal] = journals
    journal.note("begin", **facts)
    try:
        yield Order(**json.loads(step.workflow.input))
    except OSError as error:
        raise Retryable("disk", error, delay=0.2) from error
    finally:
        journal.note("end", **facts)


@chaos.executor("leaf")
async def leaf(step: StepContext, number: int) -> int:
    with noted(step) as order:
        await trio.sleep(order.pace * random.uniform(0.01, 0.15))
        if step.attempt <= failures(number):
            raise Retryable("flaky")
        value = digits(order.number, number)
        step.record(RECORDS, step.id, value)
        if keeps_inline(number):
            step.artifact("inline", "text/plain", body(order.number, number, "inline"))
        if keeps_external(number):
            await step.store_artifact("external", "text/plain", body(order.number, number, "external"))
        if emits(number):
            child = f"{step.id}:child"
            step.emit(child, number, kind="child", queue="narrow", retry=PATIENT, dedup_key=step.id)
        return value


@chaos.executor("child")
def child(step: StepContext, number: int) -> int:
    """Runs in a thread, and never asks whether it was cancelled."""
    with noted(step) as order:
        time.sleep(order.pace * random.uniform(0.01, 0.1))
        return digits(order.number, "child", number)


@chaos.executor("rated")
async def rated(step: StepContext, number: int) -> int:
    with noted(step) as order:
        await trio.sleep(order.pace * random.uniform(0.0, 0.1))
        return digits(order.number, "rated", number)


@chaos.executor("long")
async def long(step: StepContext) -> int:
    """Longer than a third of a lease, so that it must be renewed."""
    with noted(step) as order:
        await trio.sleep(order.pace * random.uniform(0.5, 2.0))
        await step.save(step.attempt)
        await trio.sleep(order.pace * random.uniform(0.5, 2.0))
        return digits(order.number, "long")


@chaos.executor("deaf")
async def deaf(step: StepContext) -> int:
    """Goes on to its end, whoever cancels it."""
    with noted(step) as order:
        with trio.CancelScope(shield=True):
            await trio.sleep(order.pace * random.uniform(0.2, 1.0))
        return digits(order.number, "deaf")


@chaos.executor("doomed")
async def doomed(step: StepContext) -> None:
    with noted(step):
        raise Permanent("doomed")


@chaos.executor("join")
async def join(step: StepContext) -> int:
    with noted(step) as order:
        parts = [await step.dependency_data(name, int) for name in summands(order)]
        step.emit("proof", kind="proof", queue="joins", retry=PATIENT, depends_on=[step.id])
        return sum(parts)


@chaos.executor("proof")
async def proof(step: StepContext) -> int:
    with noted(step):
        return await step.dependency_data("join", int) + 1
