"""The work of the comparison with peers, done by huey on SQLite with `fsync=True`: WAL, synchronous FULL.

huey is a library that this project does not depend on: it is imported when measured, and untyped here.
"""

import importlib
import itertools
import logging
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from .peer_figures import FAN_OUT, HOP, IDLE, ONE_AT_A_TIME, Sample
from .peer_files import WorkMissingError, journal_mode

AT_ONCE = 32
WARM = 64
POLL = 0.001
"""Seconds between two looks of a worker, and of who waits for a result; huey's default is 0.1 to 10."""
THEN, SELF = "a pipeline by then()", "each task enqueues the next"
NOTE = (
    "Worker threads that poll every ms (default 0.1 to 10 s), fsync=True. Stored are the task, whose row is "
    "deleted when a worker takes it, and its result at the end: a task that runs when its process is killed "
    "is lost."
)
WAYS = {
    FAN_OUT: ["32 threads", ONE_AT_A_TIME],
    HOP: [THEN, SELF],
    IDLE: ["1 thread"],
}


@attrs.frozen
class App:
    """A huey on a file, with its task, and when each task's function was called."""

    huey: Any
    task: Any
    chained: Any
    starts: list[float]


def measure(work: str, way: str, steps: int, folder: Path) -> Sample:
    logging.disable(logging.CRITICAL)
    path = folder / "huey.db"
    app = _open(path)
    value = _MEASURES[work, way](app, steps)
    ((synchronous,),) = app.huey.storage.sql("PRAGMA synchronous", results=True)
    return Sample("huey", work, way, value, journal_mode(path), synchronous)


def _open(path: Path) -> App:
    huey: Any = importlib.import_module("huey").SqliteHuey("bench", filename=str(path), fsync=True)
    starts: list[float] = []

    def work(number: object = None) -> int:
        starts.append(time.perf_counter())
        return 1

    def work_and_enqueue(more: int) -> int:
        starts.append(time.perf_counter())
        if more:
            chained(more - 1)
        return 1

    chained: Any = huey.task()(work_and_enqueue)
    return App(huey, huey.task()(work), chained, starts)


@contextmanager
def _consuming(app: App, workers: int) -> Iterator[None]:
    consumer = app.huey.create_consumer(
        workers=workers, worker_type="thread", initial_delay=POLL, max_delay=POLL, periodic=False
    )
    consumer.start()
    try:
        yield
    finally:
        consumer.stop()
        for _, worker in consumer.worker_threads:
            worker.join()


def _warm(app: App, workers: int = 1) -> None:
    for number in range(WARM):
        app.task(number)
    with _consuming(app, workers):
        _wait_for_results(app, WARM)
    app.starts.clear()


def _wait_for_results(app: App, count: int) -> None:
    while app.huey.result_count() < count:
        time.sleep(0.005)


def _expect(app: App, count: int) -> None:
    found = app.huey.result_count()
    if found != count:
        raise WorkMissingError(f"huey holds {found} results of {count} tasks")


def _fan_out(workers: int) -> Callable[[App, int], float]:
    """All are enqueued first; the clock runs from the consumer's start to the last result."""

    def fan_out(app: App, steps: int) -> float:
        _warm(app, workers)
        for number in range(steps):
            app.task(number)
        wait = _completions(app, steps)
        started = time.perf_counter()
        with _consuming(app, workers):
            wait()
            rate = steps / (time.perf_counter() - started)
        _expect(app, WARM + steps)
        return rate

    return fan_out


def _completions(app: App, count: int) -> Callable[[], object]:
    """Answers what waits until so many tasks of this process are complete, without asking the database."""
    complete = threading.Event()
    numbers = itertools.count(1)

    def count_one(signal: str, task: object) -> None:
        if next(numbers) == count:
            complete.set()

    app.huey.signal("complete")(count_one)
    return complete.wait


def _hop_by_then(app: App, steps: int) -> float:
    pipeline = app.task.s(0)
    for _ in range(steps - 1):
        pipeline = pipeline.then(app.task)
    return _hop(app, steps, lambda: app.huey.enqueue(pipeline))


def _hop_by_self(app: App, steps: int) -> float:
    return _hop(app, steps, lambda: app.chained(steps - 1))


def _hop(app: App, steps: int, start: Callable[[], object]) -> float:
    _warm(app)
    wait = _completions(app, steps)
    with _consuming(app, 1):
        start()
        wait()
    _expect(app, WARM + steps)
    return statistics.median((b - a) * 1000 for a, b in itertools.pairwise(app.starts))


def _idle(app: App, runs: int) -> float:
    _warm(app)
    taken: list[float] = []
    with _consuming(app, 1):
        for number in range(runs):
            started = time.perf_counter()
            app.task(number).get(blocking=True, max_delay=POLL, preserve=True)
            taken.append((time.perf_counter() - started) * 1000)
    _expect(app, WARM + runs)
    return statistics.median(taken)


_MEASURES: dict[tuple[str, str], Callable[[App, int], float]] = {
    (FAN_OUT, "32 threads"): _fan_out(AT_ONCE),
    (FAN_OUT, ONE_AT_A_TIME): _fan_out(1),
    (HOP, THEN): _hop_by_then,
    (HOP, SELF): _hop_by_self,
    (IDLE, "1 thread"): _idle,
}
