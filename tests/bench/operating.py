"""python -m tests.bench.operating [--steps N]: what large runs cost those who share the event loop.

One run of many steps is enqueued, drained, listed and deleted, one step emits as many children, and runs
of many shapes are pruned beside workers, while a task ticks every millisecond. Printed for each phase: how
long it took, the longest pause between two ticks, and the longest time the writer was at work in one go, its
commit and the copying of the log included. The bodies of the entrypoint and of the executors are not counted
as pauses: they are the user's.
"""

import argparse
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import cast

import attrs
import trio

from trio_workflow import (
    Config,
    Package,
    QueueConfig,
    RunBuilder,
    Runtime,
    SQLiteStore,
    StepContext,
    open_runtime,
)
from trio_workflow.runtime.runtime import engine_of
from trio_workflow.store.sqlite.committer import Entry
from trio_workflow.store.sqlite.store import OpenSQLiteStore

TICK = 0.001
large = Package("large")


@attrs.define
class Pauses:
    """The longest times between two ticks, in seconds.

    longest: by the wall, which on a busy machine counts what others do. busy: the same, but at most the CPU
    time that this process spent meanwhile. own: in one go in the bodies of the bench itself. write: the
    writer's longest turn, and write_busy the most CPU time of its thread in one.
    """

    longest: float = 0.0
    busy: float = 0.0
    own: float = 0.0
    write: float = 0.0
    write_busy: float = 0.0
    _last: float = 0.0
    _spent: float = 0.0

    async def tick(self) -> None:
        self._mark()
        while True:
            await trio.sleep(TICK)
            self._note()

    def restart(self) -> None:
        """Forget what was longest so far."""
        self._mark()
        self.longest = self.busy = self.own = self.write = self.write_busy = 0.0

    def _mark(self) -> None:
        self._last, self._spent = time.perf_counter(), time.process_time()

    def _note(self) -> None:
        taken, spent = time.perf_counter() - self._last - TICK, time.process_time() - self._spent
        self.longest, self.busy = max(self.longest, taken), max(self.busy, min(taken, spent))
        self._mark()

    @contextmanager
    def in_own_body(self) -> Iterator[None]:
        """What passes within the block is not counted as a pause."""
        self._note()
        started = time.perf_counter()
        yield
        self.own = max(self.own, time.perf_counter() - started)
        self._mark()


PAUSES = Pauses()


@large.entrypoint
async def start(run: RunBuilder, shape: list[int]) -> None:
    """shape: how many steps, and how many children the first emits."""
    with PAUSES.in_own_body():
        for number in range(shape[0]):
            run.step(input={"number": number, "children": shape[1]}, kind="work", queue="q")


@large.executor("work")
async def work(step: StepContext, given: dict[str, int]) -> dict[str, int]:
    if given["children"]:
        with PAUSES.in_own_body():
            for number in range(given["children"]):
                step.emit(input={"number": number, "children": 0}, kind="work", queue="q")
    return {"square": given["number"] ** 2}


def watch_writer(rt: Runtime) -> None:
    committer = cast("OpenSQLiteStore", engine_of(rt).store)._committer
    run = committer.run

    def timed(batch: list[Entry]) -> bool:
        started, cpu = time.perf_counter(), time.thread_time()
        try:
            return run(batch)
        finally:
            PAUSES.write_busy = max(PAUSES.write_busy, time.thread_time() - cpu)
            PAUSES.write = max(PAUSES.write, time.perf_counter() - started)

    committer.run = timed  # type: ignore[method-assign]  # to time it


@asynccontextmanager
async def phase(name: str) -> AsyncIterator[None]:
    PAUSES.restart()
    started, cpu = time.perf_counter(), time.process_time()
    yield
    taken, spent = time.perf_counter() - started, time.process_time() - cpu
    print(
        f"{name:<26}{taken:>7.2f} s{spent:>7.2f} s CPU   longest pause {PAUSES.longest * 1000:>6.1f} ms"
        f" ({PAUSES.busy * 1000:>5.1f} ms CPU)"
        f"   longest write {PAUSES.write * 1000:>6.1f} ms ({PAUSES.write_busy * 1000:>6.1f} ms CPU)"
        + (f"   (own body {PAUSES.own * 1000:.0f} ms)" if PAUSES.own else ""),
        flush=True,
    )


async def enqueued_drained_listed_deleted(rt: Runtime, nursery: trio.Nursery, steps: int) -> None:
    async with phase(f"enqueue {steps:,} steps"):
        handle = await rt.start_run("large", [steps, 0])
    async with phase("check"):
        assert await rt.check() == []
    async with phase("list, page by page"):
        await list_all(rt, handle.id, steps)
    async with phase("list, pages of 10,000"):
        await list_all(rt, handle.id, steps, 10_000)
    async with phase("drain"):
        await nursery.start(rt.start_workers)
        await handle.wait()
    async with phase("list, page by page"):
        await list_all(rt, handle.id, steps)
    async with phase("check"):
        assert await rt.check() == []
    async with phase("delete"):
        await rt.delete_run(handle.id)


async def list_all(rt: Runtime, run_id: str, steps: int, limit: int = 1000) -> None:
    count, after = 0, None
    while count == 0 or after is not None:
        page = await rt.steps(run_id, limit=limit, after=after)
        count, after = count + len(page), page.next
    assert count >= steps


async def emitted_canceled(rt: Runtime, steps: int) -> None:
    """The children are stored by the commit that ends the step that emitted them."""
    renewals = rt.statistics().renewals
    async with phase(f"emit {steps:,} children"), rt.events() as stream:
        handle = await rt.start_run("large", [1, steps])
        async for event in stream:
            if event.kind == "step_succeeded":
                break
    async with phase("cancel them"), rt.events(buffer=100):
        await rt.cancel_run(handle.id)
    print(f"lost leases {rt.statistics().lost_leases}, renewals {rt.statistics().renewals - renewals}")
    async with phase("delete"):
        await rt.delete_run(handle.id)


mixed = Package("mixed")


@mixed.entrypoint
async def start_mixed(run: RunBuilder, number: int) -> None:
    """Every tenth run has large payloads, every seventh much metadata, every fifth many dependencies."""
    with PAUSES.in_own_body():
        for key in range(2000 if number % 7 == 0 else 2):
            run.metadata(f"key {key}", str(number))
        root = run.step("root", "x" * (4_000_000 if number % 10 == 0 else 10), kind="mixed", queue="q")
        for child in range(2000 if number % 5 == 0 else 50):
            run.step(kind="mixed", queue="q", depends_on=root, dedup_key=str(child // 2), input=child)


@mixed.executor("mixed")
async def work_mixed(step: StepContext) -> None:
    with PAUSES.in_own_body():
        for number in range(300 if step.id == "root" else 1):
            step.record("c", str(number), {"of": step.id})
        step.artifact("a", "text/plain", b"x" * 1000)


async def pruned_beside_workers(rt: Runtime, steps: int) -> None:
    async with phase("drain runs of many shapes"):
        for number in range(100):
            await (await rt.start_run("mixed", number)).wait()
    handle = await rt.start_run("large", [steps // 5, 0])
    async with phase("prune them beside workers"):
        print(f"removed {await rt.prune(0.0)} runs")
    await handle.wait()


async def main(steps: int) -> None:
    with tempfile.TemporaryDirectory(prefix="trio-workflow-bench-") as folder:
        path = Path(folder) / "engine.db"
        config = Config(
            store=SQLiteStore(path),
            max_workers=32,
            queues={"q": QueueConfig(max_workers=32)},
            lease_duration=6.0,
        )
        async with open_runtime(config) as rt, trio.open_nursery() as nursery:
            rt.register_package(large)
            rt.register_package(mixed)
            watch_writer(rt)
            nursery.start_soon(PAUSES.tick)
            await enqueued_drained_listed_deleted(rt, nursery, steps)
            print(f"the file has {path.stat().st_size / 1e6:.0f} MB")
            await emitted_canceled(rt, steps)
            await pruned_beside_workers(rt, steps)
            print(f"the file has {path.stat().st_size / 1e6:.0f} MB")
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.operating", description=__doc__)
    parser.add_argument("--steps", type=int, default=100_000)
    trio.run(main, parser.parse_args().steps)
