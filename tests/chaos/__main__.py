"""python -m tests.chaos --seconds N [--workers 3] [--seed S] [--keep FOLDER]

Worker processes on one file are killed, stopped, drained, locked out and starved of disk; then all of it must
end, and is audited. Prints a table; exits with 1 on any violation. Leaves no process, mount or folder; with
--keep the database and the logs of a run with violations are copied there.
"""

import argparse
import os
import secrets
import shutil
import signal
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import trio

from .audit import audit
from .disk import Disk, small_disk
from .facts import gather
from .faults import plan
from .fleet import Fleet, Member
from .journal import FAULTS, Journal
from .nemesis import TIME_TO_END, Nemesis
from .program import Site, opened
from .report import table
from .workload import PACKAGE

TIME_TO_FINISH = 90.0
"""Seconds after the last fault within which every run must have ended."""

RUNS_PER_SECOND = 1.2


async def play(site: Site, disk: Disk, options: argparse.Namespace) -> list[str]:
    """The whole run; answers what there is to complain of before the audit."""
    journal = Journal(site.logs / FAULTS)
    fleet = Fleet(site, journal)
    async with opened(site, "driver"):
        pass  # the file is there before anything happens to it
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fleet.watch_always)
            for _ in range(options.workers):
                fleet.start_worker()
            starter = fleet.start_helper("starter", str(site.root), str(RUNS_PER_SECOND), str(options.seed))
            nemesis = Nemesis(site, fleet, starter, disk, journal)
            await nemesis.carry_out(plan(options.seed, options.seconds, options.workers))
            complaints = await finish(site, fleet, starter)
            nursery.cancel_scope.cancel()
    finally:
        fleet.kill_all()
        journal.close()
    async with opened(site, "driver") as rt:
        return [*complaints, *(f"check: {violation}" for violation in await rt.check())]


async def finish(site: Site, fleet: Fleet, starter: Member) -> list[str]:
    """The faults are over: everything ends, in time and in order."""
    complaints: list[str] = []
    began = trio.current_time()
    fleet.tell(starter, "drain", signal.SIGTERM)
    if not await fleet.has_ended(starter, TIME_TO_FINISH):
        complaints.append(f"{open_runs(site)} runs had not ended {TIME_TO_FINISH} s after the last fault")
    print(f"all runs ended {trio.current_time() - began:.1f} s after the last fault", flush=True)
    fleet.is_replacing = False
    for worker in fleet.workers:
        if not worker.wanted:
            fleet.tell(worker, "drain", signal.SIGTERM)
    for worker in fleet.workers:
        await fleet.has_ended(worker, TIME_TO_END)
    return complaints


def open_runs(site: Site) -> int:
    with closing(sqlite3.connect(site.database, timeout=10)) as conn:
        count: int = conn.execute(
            "SELECT count(*) FROM runs WHERE finished_at IS NULL AND package = ?", (PACKAGE,)
        ).fetchone()[0]
        return count


def run(root: Path, options: argparse.Namespace) -> bool:
    """Play in that folder and audit; answers whether all was well."""
    site = Site(root)
    for folder in site.folders:
        folder.mkdir()
    with small_disk(site.disk, int(96 + options.seconds / 2)) as disk:
        complaints = trio.run(play, site, disk, options)
        facts = gather(site, complaints)
        findings = audit(facts)
        if findings and options.keep:
            shutil.copytree(root, options.keep, dirs_exist_ok=True)
    print(table(facts, findings, options.seed))
    return not findings


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.partition("\n")[2])
    parser.add_argument("--seconds", type=float, required=True, help="how long faults go on")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--keep", type=Path, help="where to copy what a run with violations leaves")
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it else
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    print(f"seed {options.seed}", flush=True)
    is_well = False
    try:
        with tempfile.TemporaryDirectory(prefix="trio-workflow-chaos-") as name:
            is_well = run(Path(name), options)
    except* KeyboardInterrupt:
        print(f"interrupted, seed {options.seed}")
    sys.exit(0 if is_well else 1)


if __name__ == "__main__":
    main()
