"""python -m tests.bench [--steps N] [--rounds N] [--finished N]: prints figures and ratios of one run."""

import argparse
import platform
import sqlite3
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import trio

from trio_workflow import Runtime

from . import engine
from .finished import add_finished
from .raw import drain_by_hand


def in_folder(measure: Callable[[Path], float]) -> float:
    with tempfile.TemporaryDirectory(prefix="trio-workflow-bench-") as name:
        return measure(Path(name))


def through_engine(
    synchronous: str, measure: Callable[[Runtime], Awaitable[float]], finished: int, folder: Path
) -> float:
    async def main() -> float:
        async with engine.working_runtime(folder, synchronous) as rt:
            await engine.drain(rt, 320)  # warm
            return await measure(rt)

    if finished:
        add_finished(folder, finished)
    return trio.run(main)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--steps", type=int, default=10_000, help="steps of a fan-out")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, interleaved; medians are printed")
    parser.add_argument("--finished", type=int, default=200_000, help="finished steps for the flat cost")
    args = parser.parse_args()
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.machine()}")
    for synchronous in ("FULL", "NORMAL"):
        works: dict[str, Callable[[Path], float]] = {
            "raw": partial(drain_by_hand, steps=args.steps, synchronous=synchronous),
            "drain": partial(through_engine, synchronous, lambda rt: engine.drain(rt, args.steps), 0),
            "grown": partial(
                through_engine, synchronous, lambda rt: engine.drain(rt, args.steps), args.finished
            ),
            "enqueue": partial(through_engine, synchronous, lambda rt: engine.enqueue(rt, args.steps), 0),
            "hop": partial(through_engine, synchronous, lambda rt: engine.hop(rt, 300), 0),
            "idle": partial(through_engine, synchronous, lambda rt: engine.idle(rt, 100), 0),
        }
        found: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(args.rounds):
            for name, work in works.items():
                found[name].append(in_folder(work))
        report(synchronous, found, args.finished)


def report(synchronous: str, found: dict[str, list[float]], finished: int) -> None:
    median = {name: statistics.median(values) for name, values in found.items()}
    against_raw = statistics.median(d / r for d, r in zip(found["drain"], found["raw"], strict=True))
    flat = statistics.median(g / d for g, d in zip(found["grown"], found["drain"], strict=True))
    print(f"synchronous={synchronous}")
    print(f"  the SQL alone, batches of 32        {median['raw']:>10,.0f} steps/s")
    print(
        f"  fan-out, 32 at once                 {median['drain']:>10,.0f} steps/s   ratio {against_raw:.2f}"
    )
    print(f"  the same beside {finished:>9,} finished   {median['grown']:>10,.0f} steps/s   ratio {flat:.2f}")
    print(f"  enqueue of one run                  {median['enqueue']:>10,.0f} steps/s")
    print(f"  a hop in a chain of 300, p50        {median['hop']:>10.2f} ms")
    print(f"  one-step run, idle system, p50      {median['idle']:>10.2f} ms")


if __name__ == "__main__":
    main()
