"""The backup of the manual, inspected: python -m tests.chaos.backup ROOT. Notes what the copy lacks.

What was acknowledged before the backup began must be in the copy, unless it was removed on purpose; the copy
is sound for SQLite and for the engine.
"""

import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import trio

from . import journal
from .journal import Journal
from .program import Site, begin_process, opened_copy
from .removal import removed_runs

TRIES, PAUSE = 40, 0.25


def back_up(source: Path, target: Path) -> bool:
    """As the manual says. False if the source could not be read: its disk is full, or it is recovered."""
    for _ in range(TRIES):
        try:
            with closing(sqlite3.connect(source)) as original, closing(sqlite3.connect(target)) as copy:
                original.backup(copy)
                return True
        except sqlite3.OperationalError:
            target.unlink(missing_ok=True)
            time.sleep(PAUSE)
    return False


def acknowledged(site: Site) -> list[str]:
    return [entry["run"] for entry in journal.read(site.logs / journal.STARTS) if entry["what"] == "started"]


def damage(copy: Path) -> Iterator[str]:
    with closing(sqlite3.connect(copy)) as conn:
        yield from (row[0] for row in conn.execute("PRAGMA integrity_check") if row[0] != "ok")


def missing(site: Site, copy: Path, expected: list[str]) -> Iterator[str]:
    with closing(sqlite3.connect(copy)) as conn:
        found = {row[0] for row in conn.execute("SELECT id FROM runs")}
    for run_id in set(expected) - found - removed_runs(site):
        yield f"{run_id} had been acknowledged, and is not in the copy"


async def violations(site: Site, copy: Path) -> list[str]:
    async with opened_copy(site, copy) as rt:
        return [f"check: {violation}" for violation in await rt.check()]


def main(site: Site) -> None:
    log, copy = Journal(site.logs / journal.BACKUPS), site.backups / f"{time.monotonic_ns()}.db"
    expected = acknowledged(site)
    if not back_up(site.database, copy):
        log.note("refused")
        return
    found = [*damage(copy), *missing(site, copy, expected), *trio.run(violations, site, copy)]
    log.note("backup", runs=len(expected), found=found)
    if not found:
        copy.unlink()


if __name__ == "__main__":
    begin_process()
    main(Site(Path(sys.argv[1])))
