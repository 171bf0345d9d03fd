"""python -m tests.powerloss --states N [--seed S] [--jobs 2] [--only SEED:INDEX] [--keep FOLDER]

Workloads are recorded under strace, one seed after the other, and of each recording some states are made
that a loss of power may leave. Each is opened by a new runtime and compared with what had been acknowledged.
Prints a line with counts. Exits with 1 on any violation, which names seed, moment and state, and with 2
without strace.

--only makes one state again. --keep writes states with violations, or the one of --only, and their traces to
a folder. A recording of two processes is in real time, so that another one of its seed may differ: keep it.
--plant NAME records the workload of an engine with an fsync bug.
"""

import argparse
import multiprocessing
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from planted.harness import planted

from .campaign import STATES, Result, be_quiet, play
from .plants import PLANTS
from .record import REPOSITORY, has_strace


def portions(first: int, states: int) -> Iterator[tuple[int, range]]:
    """Seeds, and the indexes of the states of each."""
    for seed in range(first, first + -(-states // STATES)):
        done = (seed - first) * STATES
        yield seed, range(min(STATES, states - done))


def run(options: argparse.Namespace, package: Path) -> list[Result]:
    if options.only:
        options.seed, index = map(int, options.only.split(":"))
        result = play(options.seed, [index], options.keep, package, keep_all=True)
        show(result)
        return [result]
    context = multiprocessing.get_context("spawn")
    results: list[Result] = []
    with ProcessPoolExecutor(options.jobs, mp_context=context, initializer=be_quiet) as pool:
        playing = [
            pool.submit(play, seed, indexes, options.keep, package)
            for seed, indexes in portions(options.seed, options.states)
        ]
        for future in playing:
            results.append(future.result())
            show(results[-1])
    return results


def show(result: Result) -> None:
    for violation in result.violations:
        print(f"violation: {violation}", flush=True)


def summary(results: list[Result], seconds: float, seed: int) -> str:
    events = sum((result.events for result in results), Counter[str]())
    violations = sum(len(result.violations) for result in results)
    recorded = ", ".join(f"{count} {kind.lower()}" for kind, count in sorted(events.items()))
    states = sum(result.states for result in results)
    return (
        f"{states} states of {len(results)} recordings from seed {seed} ({recorded}) in {seconds:.0f} s: "
        f"{violations} violations"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.powerloss", description=__doc__.partition("\n")[2])
    parser.add_argument("--states", type=int, default=200)
    parser.add_argument("--seed", type=int, default=4 * secrets.randbelow(250_000), help="the first seed")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", metavar="SEED:INDEX", help="make and examine one state")
    parser.add_argument("--keep", type=Path, help="where to write states with violations")
    parser.add_argument(
        "--plant", choices=[plant.name for plant in PLANTS], help="an fsync bug to record with"
    )
    options = parser.parse_args()
    if not has_strace():
        print("strace is missing: loss of power was not tried")
        sys.exit(2)
    be_quiet()
    began = time.monotonic()
    with ExitStack() as stack:
        bug = next((plant.bug for plant in PLANTS if plant.name == options.plant), None)
        package = REPOSITORY if bug is None else stack.enter_context(planted(bug))
        results = run(options, package)
    print(summary(results, time.monotonic() - began, options.seed))
    sys.exit(1 if any(result.violations for result in results) else 0)


if __name__ == "__main__":
    main()
