"""A sound chaos run, played in this process, and copies of it to be spoiled."""

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import attrs

from trio_workflow.testing import run_until_idle

from . import journal, steps
from .audit import audit
from .facts import gather
from .journal import Journal
from .program import Site, opened
from .workload import PACKAGE, Order

PID = os.getpid()


async def play(site: Site) -> None:
    """Two runs that end and one that is canceled, in this process and without faults."""
    starts, faults = Journal(site.logs / journal.STARTS), Journal(site.logs / journal.FAULTS)
    faults.note("launch", role="worker")
    steps.journals.append(Journal(site.logs / journal.EXECUTIONS))
    steps.journals[0].note("ready")
    async with opened(site, f"worker-{PID}") as rt:
        for number in range(3):
            run = await rt.start_run(PACKAGE, Order(number, pace=0.0), run_id=f"run-{number}")
            starts.note("started", run=run.id, order=number)
        await rt.cancel_run("run-2")
        starts.note("canceled", run="run-2")
        await run_until_idle(rt)
        starts.note("ended", run="run-0", status="succeeded")
    faults.note("exit", role="worker", code=0, wanted="drain")
    for each in (starts, faults, steps.journals.pop()):
        each.close()
    # The database is in virtual time: what the journal notes of wall time comes before all of it.
    Copy(site).edit(journal.EXECUTIONS, lambda entry: entry | {"wall": 0})


@attrs.frozen
class Copy:
    """A copy of the database and the journals, to be spoiled. Artifacts stay where they are."""

    site: Site

    def sql(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.site.database, isolation_level=None)) as conn:
            conn.execute("PRAGMA ignore_check_constraints = ON")
            for statement in statements:
                conn.execute(statement)

    def step(self, name: str = "leaf-0", run: str = "run-0") -> str:
        """The key of a step, as SQL."""
        run_key = f"(SELECT run_key FROM runs WHERE id = '{run}')"
        return f"(SELECT step_key FROM steps WHERE run_key = {run_key} AND id = '{name}')"

    def note(self, file: str, what: str, **facts: Any) -> None:
        log = Journal(self.site.logs / file)
        log.note(what, **facts)
        log.close()

    def edit(self, file: str, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
        """Change every entry of a journal; None takes it out."""
        path = self.site.logs / file
        changed = [change(entry) for entry in journal.read(path)]
        path.write_text("\n".join(json.dumps(entry) for entry in changed if entry is not None))

    def found(self, *complaints: str) -> list[str]:
        return [str(finding) for finding in audit(gather(self.site, list(complaints)))]


Spoil = Callable[[Copy], None]
SPOILT: list[tuple[str, str, Spoil]] = []


def breaks(check: str, message: str) -> Callable[[Spoil], Spoil]:
    """Declare that a way to spoil a copy is found by that check, with words of that message."""

    def note(spoil: Spoil) -> Spoil:
        SPOILT.append((check, message, spoil))
        return spoil

    return note
