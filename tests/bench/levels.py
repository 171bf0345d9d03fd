"""python -m tests.bench.levels [--steps N] [--keep SECONDS]: whether anything grows that should not.

No-op steps in many runs, some at a time, with ended runs removed after some seconds, or kept. Printed every
tenth of the way: resident memory, open files, threads, the size of the log and of the database, and the rate.
"""

import argparse
import gc
import os
import resource
import tempfile
import time
from pathlib import Path

import trio

from trio_workflow import Config, QueueConfig, Runtime, SQLiteStore, open_runtime

from .engine import bench

STEPS_OF_A_RUN = 500
RUNS_AT_ONCE = 4


def resident() -> float:
    """Megabytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def count(folder: str) -> int:
    return len(os.listdir(folder))


def size(path: Path) -> float:
    """Megabytes."""
    return path.stat().st_size / 1e6 if path.exists() else 0.0


def report(done: int, path: Path, rate: float) -> None:
    log = path.with_name(f"{path.name}-wal")
    print(
        f"{done:>9,} steps {rate:>8,.0f}/s   RSS {resident():>6.1f} MB   files {count('/proc/self/fd'):>3}"
        f"   threads {count('/proc/self/task'):>3}   log {size(log):>5.1f} MB"
        f"   database {size(path):>6.1f} MB   objects {len(gc.get_objects()):>8,}",
        flush=True,
    )


async def work(rt: Runtime, path: Path, steps: int) -> None:
    done, stage = 0, max(steps // 10, STEPS_OF_A_RUN)
    started = time.perf_counter()
    report(0, path, 0.0)
    tickets = trio.Semaphore(RUNS_AT_ONCE)

    async def one() -> None:
        nonlocal done, started
        handle = await rt.start_run("bench", [STEPS_OF_A_RUN, 0], metadata={"tenth": str(done // stage)})
        await handle.wait()
        tickets.release()
        done += STEPS_OF_A_RUN
        if done % stage == 0:
            report(done, path, stage / (time.perf_counter() - started))
            started = time.perf_counter()

    async with trio.open_nursery() as nursery:
        for _ in range(steps // STEPS_OF_A_RUN):
            await tickets.acquire()
            nursery.start_soon(one)


async def pending(folder: Path, steps: int = 100_000) -> None:
    """Memory of a process that has stored many pending steps."""
    async with open_runtime(Config(store=SQLiteStore(folder / "engine.db"))) as rt:
        rt.register_package(bench)
        print(f"before: RSS {resident():.1f} MB")
        await rt.start_run("bench", [steps, 0])
        await trio.sleep(1)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        print(
            f"{steps:,} pending steps: RSS {resident():.1f} MB, at most {peak:.1f} MB while they were stored"
        )


async def main(steps: int, keep: float | None) -> None:
    with tempfile.TemporaryDirectory(prefix="trio-workflow-bench-") as name:
        path = Path(name) / "engine.db"
        config = Config(
            store=SQLiteStore(path),
            max_workers=32,
            queues={"q": QueueConfig(max_workers=32)},
            keep_finished=keep,
        )
        print("ended runs are " + ("kept" if keep is None else f"removed after {keep:g} s"))
        async with open_runtime(config) as rt, trio.open_nursery() as nursery:
            rt.register_package(bench)
            await nursery.start(rt.start_workers)
            await work(rt, path, steps)
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.bench.levels", description=__doc__)
    parser.add_argument("--steps", type=int, default=500_000)
    parser.add_argument("--keep", type=float, default=None)
    parser.add_argument("--pending", action="store_true", help="only memory with 100,000 pending steps")
    args = parser.parse_args()
    if args.pending:
        with tempfile.TemporaryDirectory(prefix="trio-workflow-bench-") as folder:
            trio.run(pending, Path(folder))
    else:
        trio.run(main, args.steps, args.keep)
