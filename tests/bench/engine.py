"""The same work through the runtime, with everything on."""

import itertools
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from trio_workflow import (
    Config,
    Package,
    QueueConfig,
    RunBuilder,
    Runtime,
    SQLiteStore,
    StepContext,
    StepHandle,
    open_runtime,
)

bench = Package("bench")


@bench.entrypoint
async def start(run: RunBuilder, shape: list[int]) -> None:
    """shape: [width, 0] for a fan-out, [length, 1] for a chain."""
    count, is_chain = shape
    previous: list[StepHandle] = []
    for _ in range(count):
        step = run.step(kind="work", queue="q", depends_on=previous)
        previous = [step] if is_chain else []


@bench.executor("work")
async def work(step: StepContext) -> int:
    return 1


@asynccontextmanager
async def working_runtime(folder: Path, synchronous: str) -> AsyncIterator[Runtime]:
    config = Config(
        store=SQLiteStore(folder / "engine.db", synchronous=synchronous),
        max_workers=32,
        queues={"q": QueueConfig(max_workers=32)},
    )
    async with open_runtime(config) as rt:
        rt.register_package(bench)
        async with trio.open_nursery() as nursery:
            await nursery.start(rt.start_workers)
            yield rt
            nursery.cancel_scope.cancel()


async def drain(rt: Runtime, steps: int) -> float:
    """Steps per second of a fan-out, from its commit to the end of its run."""
    handle = await rt.start_run("bench", [steps, 0])
    started = time.perf_counter()
    await handle.wait()
    return steps / (time.perf_counter() - started)


async def enqueue(rt: Runtime, steps: int) -> float:
    """Steps per second of storing one run."""
    started = time.perf_counter()
    handle = await rt.start_run("bench", [steps, 0])
    taken = time.perf_counter() - started
    await handle.wait()
    return steps / taken


async def hop(rt: Runtime, length: int) -> float:
    """Median milliseconds from one step of a chain to the next."""
    handle = await rt.start_run("bench", [length, 1])
    await handle.wait()
    page = await rt.steps(handle.id, limit=length)
    starts = [step.started_at for step in page if step.started_at is not None]
    gaps = [(b - a).total_seconds() * 1000 for a, b in itertools.pairwise(starts)]
    return statistics.median(gaps)


async def idle(rt: Runtime, runs: int) -> float:
    """Median milliseconds from start to finish of a run of one step in an idle system."""
    taken: list[float] = []
    for _ in range(runs):
        started = time.perf_counter()
        handle = await rt.start_run("bench", [1, 0])
        await handle.wait()
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)
