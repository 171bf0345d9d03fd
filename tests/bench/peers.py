"""python -m tests.bench.peers [--steps N] [--rounds N]: the same work on DBOS and huey, in turns with ours.

The peers are no dependencies of this project. Install them into an environment of their own:

    python3 -m venv .venv-peers && .venv-peers/bin/pip install -e . dbos huey
    .venv-peers/bin/python -m tests.bench.peers

Every measurement is a process of its own with a folder of its own, started as
`python -m tests.bench.peers SYSTEM WORK WAY --steps N`, which prints one line of JSON. Rounds are
interleaved, warm-up is not timed, and what was done is counted in the database afterwards. Every documented
way of a peer to do the work is measured, and the best one is compared. The printed table is the README's.
"""

import argparse
import importlib.util
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import attrs

from . import peer_dbos, peer_huey, peer_ours
from .peer_figures import FAN_OUT, HOP, IDLE, OURS, WORKS, Sample, lines_of_ways, modes, table

TIMEOUT = 120.0
"""Seconds that one measurement may take."""
CHAIN, RUNS = 300, 100
WAYS = {OURS: peer_ours.WAYS, "dbos": peer_dbos.WAYS, "dbos-wal": peer_dbos.WAYS, "huey": peer_huey.WAYS}
TITLES = {OURS: "trio_workflow", "dbos": "DBOS, default", "dbos-wal": "DBOS, WAL forced", "huey": "huey"}
LIBRARIES = {"dbos": "dbos", "dbos-wal": "dbos", "huey": "huey"}
NOTES = {
    OURS: peer_ours.NOTE,
    "dbos": peer_dbos.NOTE,
    "dbos-wal": "The same, on a file that was put into WAL mode before.",
    "huey": peer_huey.NOTE,
}


def measure(system: str, work: str, way: str, steps: int, folder: Path) -> Sample:
    if system == OURS:
        return peer_ours.measure(work, way, steps, folder)
    if system == "huey":
        return peer_huey.measure(work, way, steps, folder)
    return peer_dbos.measure(system, work, way, steps, folder)


def in_process(system: str, work: str, way: str, steps: int) -> Sample:
    """Measures in a new process; what that prints besides its last line is not looked at."""
    command = [sys.executable, "-m", "tests.bench.peers", system, work, way, "--steps", str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return Sample(**json.loads(done.stdout.splitlines()[-1]))


def compare(systems: Sequence[str], steps: int, rounds: int, seconds: float) -> list[list[Sample]]:
    """The rounds. None begins that, lasting as long as the longest so far, would end past so many seconds."""
    found: list[list[Sample]] = []
    taken = [0.0]
    while len(found) < rounds and sum(taken) + max(taken) < seconds:
        started = time.perf_counter()
        found.append(one_round(systems, steps))
        taken.append(time.perf_counter() - started)
    return found


def one_round(systems: Sequence[str], steps: int) -> list[Sample]:
    sizes = {FAN_OUT: steps, HOP: CHAIN, IDLE: RUNS}
    return [
        in_process(system, work, way, sizes[work])
        for work in WORKS
        for system in systems
        for way in WAYS[system][work]
    ]


def fsync_p50(folder: Path) -> float:
    """Median milliseconds of a write of 4 KB at a file's end and its fsync."""
    taken: list[float] = []
    with open(folder / "fsync", "wb", buffering=0) as file:
        for _ in range(200):
            started = time.perf_counter()
            file.write(bytes(4096))
            os.fsync(file.fileno())
            taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


def machine(systems: Sequence[str]) -> str:
    with tempfile.TemporaryDirectory(prefix="trio-workflow-bench-") as folder:
        fsync = fsync_p50(Path(folder))
    libraries = sorted({LIBRARIES[system] for system in systems if system in LIBRARIES})
    versions = "".join(f", {name} {version(name)}" for name in libraries)
    return (
        f"{os.cpu_count()}-core {platform.machine()}, fsync p50 {fsync:.2f} ms, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}{versions}"
    )


def report(samples: Sequence[Sample], systems: Sequence[str], steps: int, rounds: int) -> None:
    print(f"{machine(systems)}; fan-out of {steps:,} steps, 32 in flight; a chain of {CHAIN};")
    print(
        f"{RUNS} runs of one step; medians of {rounds} interleaved rounds, in brackets our speed / theirs.\n"
    )
    print(table(samples, {system: TITLES[system] for system in systems}))
    for system in systems:
        print(f"\n{TITLES[system]} ({modes(samples, system)}): {NOTES[system]}")
        for line in lines_of_ways(samples, system):
            print(f"- {line}")


def installed(system: str) -> bool:
    library = LIBRARIES.get(system)
    if library is None or importlib.util.find_spec(library):
        return True
    print(f"{system}: not measured, {library} is not installed: {sys.executable} -m pip install {library}")
    return False


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.peers", description=__doc__)
    parser.add_argument("measurement", nargs="*", help="SYSTEM WORK WAY: one measurement, printed as JSON")
    parser.add_argument("--steps", type=int, default=500, help="steps of a fan-out")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=300.0, help="no round begins that would end later")
    args = parser.parse_args()
    if args.measurement:
        with tempfile.TemporaryDirectory(prefix="trio-workflow-bench-") as folder:
            system, work, way = args.measurement
            print(json.dumps(attrs.asdict(measure(system, work, way, args.steps, Path(folder)))))
    else:
        systems = [system for system in TITLES if installed(system)]
        rounds = compare(systems, args.steps, args.rounds, args.seconds)
        report([sample for found in rounds for sample in found], systems, args.steps, len(rounds))


if __name__ == "__main__":
    main()
