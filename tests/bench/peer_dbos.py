"""The work of the comparison with peers, done by DBOS on SQLite, in every documented way that fits the work.

DBOS is a library that this project does not depend on: it is imported when measured, and untyped here.
"""

import asyncio
import importlib
import itertools
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs

from .peer_figures import FAN_OUT, HOP, IDLE, ONE_AT_A_TIME, Sample
from .peer_files import ask, default_synchronous, expect, journal_mode, set_wal

AT_ONCE = 32
WARM = 64
POLL = 0.001
"""Seconds between two looks at a queue; DBOS's default is 1."""
GATHER, QUEUE, DIRECT = "steps gathered in one workflow", "one queued workflow each", "called directly"
WAYS = {FAN_OUT: [GATHER, QUEUE, ONE_AT_A_TIME], HOP: ["steps of one workflow"], IDLE: [DIRECT, QUEUE]}
NOTE = (
    "A queue of worker_concurrency 32, polled every ms (default 1 s), or steps of one workflow, gathered 32 "
    "at a time. Stored are a queued workflow's status, input and result, or a step's result. What a killed "
    "process ran is run again at its next start."
)
STEPS_DONE = "SELECT count(*) FROM operation_outputs WHERE output IS NOT NULL"
WORKFLOWS_DONE = "SELECT count(*) FROM workflow_status WHERE status = 'SUCCESS' AND queue_name = 'q'"


@attrs.frozen
class App:
    """A launched DBOS, with the functions that were registered with it."""

    dbos: Any
    path: Path
    starts: list[float]
    """When each step's function was called, in seconds of the performance counter."""
    chain: Callable[[int], int]
    gather: Callable[[int], Awaitable[int]]
    one: Callable[[int], int]


def measure(system: str, work: str, way: str, steps: int, folder: Path) -> Sample:
    path = folder / "dbos.sqlite"
    if system == "dbos-wal":
        set_wal(path)
    app = _launch(path)
    try:
        value = _MEASURES[work, way](app, steps)
        return Sample(system, work, way, value, journal_mode(path), default_synchronous(path))
    finally:
        app.dbos.destroy()


def _launch(path: Path) -> App:
    dbos: Any = importlib.import_module("dbos").DBOS
    dbos(config={"name": "bench", "system_database_url": f"sqlite:///{path}", "log_level": "ERROR"})
    app = _register(dbos, path)
    dbos.launch()
    return app


def _register(dbos: Any, path: Path) -> App:
    starts: list[float] = []

    def step(number: int) -> int:
        starts.append(time.perf_counter())
        return 1

    async def async_step(number: int) -> int:
        return step(number)

    sync_step, gathered_step = dbos.step(name="step")(step), dbos.step(name="async_step")(async_step)

    def chain(count: int) -> int:
        return sum(sync_step(n) for n in range(count))

    async def gather(count: int) -> int:
        limit = asyncio.Semaphore(AT_ONCE)

        async def limited(number: int) -> int:
            async with limit:
                return int(await gathered_step(number))

        return sum(await asyncio.gather(*(limited(n) for n in range(count))))

    workflow = dbos.workflow
    return App(
        dbos,
        path,
        starts,
        workflow(name="chain")(chain),
        workflow(name="gather")(gather),
        workflow(name="one")(step),
    )


def _gathered(app: App, steps: int) -> float:
    async def main() -> float:
        await app.gather(WARM)
        started = time.perf_counter()
        await app.gather(steps)
        return steps / (time.perf_counter() - started)

    rate = asyncio.run(main())
    expect(app.path, STEPS_DONE, WARM + steps)
    return rate


def _queued(app: App, steps: int) -> float:
    """All are enqueued while the queue's concurrency is 0; the clock runs from the moment it is 32."""
    queue = _warm_queue(app)
    queue.set_worker_concurrency(0)
    for number in range(steps):
        app.dbos.enqueue_workflow("q", app.one, number)
    started = time.perf_counter()
    queue.set_worker_concurrency(AT_ONCE)
    _wait_for_workflows(app, WARM + steps)
    rate = steps / (time.perf_counter() - started)
    expect(app.path, WORKFLOWS_DONE, WARM + steps)
    return rate


def _warm_queue(app: App) -> Any:
    queue = app.dbos.register_queue("q", worker_concurrency=AT_ONCE, polling_interval_sec=POLL)
    for number in range(WARM):
        app.dbos.enqueue_workflow("q", app.one, number)
    _wait_for_workflows(app, WARM)
    return queue


def _wait_for_workflows(app: App, count: int) -> None:
    """Looks into the file only when all were called, so as not to disturb the writers before."""
    while len(app.starts) < count or ask(app.path, WORKFLOWS_DONE) < count:
        time.sleep(0.002)


def _one_at_a_time(app: App, steps: int) -> float:
    app.chain(WARM)
    started = time.perf_counter()
    app.chain(steps)
    rate = steps / (time.perf_counter() - started)
    expect(app.path, STEPS_DONE, WARM + steps)
    return rate


def _hop(app: App, steps: int) -> float:
    app.chain(WARM)
    app.starts.clear()
    app.chain(steps)
    expect(app.path, STEPS_DONE, WARM + steps)
    return statistics.median((b - a) * 1000 for a, b in itertools.pairwise(app.starts))


def _idle_direct(app: App, runs: int) -> float:
    def run() -> None:
        app.chain(1)

    app.chain(WARM)
    p50 = _p50(run, runs)
    expect(app.path, STEPS_DONE, WARM + runs)
    return p50


def _idle_queued(app: App, runs: int) -> float:
    def run() -> None:
        app.dbos.enqueue_workflow("q", app.one, 1).get_result(polling_interval_sec=POLL)

    _warm_queue(app)
    p50 = _p50(run, runs)
    expect(app.path, WORKFLOWS_DONE, WARM + runs)
    return p50


def _p50(run: Callable[[], None], runs: int) -> float:
    """Median milliseconds of a call."""
    taken: list[float] = []
    for _ in range(runs):
        started = time.perf_counter()
        run()
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


_MEASURES: dict[tuple[str, str], Callable[[App, int], float]] = {
    (FAN_OUT, GATHER): _gathered,
    (FAN_OUT, QUEUE): _queued,
    (FAN_OUT, ONE_AT_A_TIME): _one_at_a_time,
    (HOP, WAYS[HOP][0]): _hop,
    (IDLE, DIRECT): _idle_direct,
    (IDLE, QUEUE): _idle_queued,
}
