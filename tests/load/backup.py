"""A backup process: python -m tests.load.backup ROOT KIND, with KIND "backup" or "vacuum".

It copies the database by one of the manual's ways while others use it, opens the copy, and leaves. The copy
must pass SQLite's integrity_check and the engine's check, and hold every parked run whose start was
acknowledged before the copy began: nothing ends such a run but a cancel.
"""

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import trio
from chaos.journal import Journal
from chaos.program import Site, begin_process

from .journals import entries_with, journal_path
from .log_journal import log_to
from .settings import BACKUPS, config_of, opened


def copy_by_backup(database: Path, target: Path) -> None:
    with closing(sqlite3.connect(database, timeout=30)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def copy_by_vacuum(database: Path, target: Path) -> None:
    with closing(sqlite3.connect(database, timeout=30)) as source:
        source.execute("VACUUM INTO ?", (str(target),))


COPIES = {"backup": copy_by_backup, "vacuum": copy_by_vacuum}


def started_parked(site: Site) -> set[str]:
    """The parked runs whose start was acknowledged so far."""
    return {e["run"] for e in entries_with(site, '"parked"') if e["what"] == "started"}


def asked_to_end(site: Site) -> set[str]:
    """The runs that somebody has asked to cancel or to delete so far."""
    return {e["run"] for word in ('"canceling"', '"deleting"') for e in entries_with(site, word)}


async def verify(site: Site, journal: Journal, target: Path, wanted: set[str]) -> None:
    with closing(sqlite3.connect(target)) as conn:
        for (line,) in conn.execute("PRAGMA integrity_check").fetchall():
            if line != "ok":
                journal.note("wrong", message=f"integrity_check of a backup: {line}")
        found = {run_id for (run_id,) in conn.execute("SELECT id FROM runs")}
    for run_id in sorted(wanted - found - asked_to_end(site)):
        journal.note("wrong", message=f"{run_id} was acknowledged before a backup, which lacks it")
    async with opened(config_of(site, "backup", database=target)) as rt:
        for violation in await rt.check():
            journal.note("wrong", message=f"check() of a backup reports {violation}")
        await rt.runs(limit=5)


def main(site: Site, kind: str) -> None:
    journal = Journal(journal_path(site, "backup"))
    log_to(journal)
    target = site.root / BACKUPS / f"{os.getpid()}.db"
    wanted = started_parked(site)
    COPIES[kind](site.database, target)
    trio.run(verify, site, journal, target, wanted)
    journal.note("backup", kind=kind, bytes=target.stat().st_size)
    target.unlink()


if __name__ == "__main__":
    begin_process()
    main(Site(Path(sys.argv[1])), sys.argv[2])
