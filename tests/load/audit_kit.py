"""A sound load run, played in this process and in virtual time, and copies of it to be damaged."""

import json
import logging
import os
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import attrs
from chaos import journal
from chaos.journal import FAULTS, Journal
from chaos.program import Site

from trio_workflow import StartRun
from trio_workflow.testing import run_until_idle

from .audit import audit
from .client import Change, Client
from .facts import gather_facts
from .log_journal import JournalHandler
from .settings import config_of, make_folders, opened
from .supervisor import make_files
from .workload import PACKAGE, Order

PID = os.getpid()
KEEP = 100.0
JOURNAL = "service-1.jsonl"


async def play(site: Site) -> None:
    """A sum that succeeds, one that is deleted, trouble that is retried, a parked run, one that is canceled.

    The database is in virtual time. What the journal says of wall time comes before all of it.
    """
    make_folders(site)
    parent, own = Journal(site.logs / FAULTS), Journal(site.logs / JOURNAL)
    parent.note("launch", role="service")
    own.note("open", keep=KEEP)
    await make_files(site)
    async with opened(config_of(site, "service")) as rt:
        client = Client(site, "client", [rt], own, random.Random(1))
        for number, shape in ((0, "sum"), (1, "trouble"), (4, "sum")):
            await _start(client, number, shape)
        await run_until_idle(rt)
        await client.change(Change.RETRY, "run-1")
        await run_until_idle(rt)
        await client.change(Change.DELETE, "run-4")
        for number in (0, 1):
            await client.see_end(rt, f"run-{number}")
        for number in (2, 3):
            await _start(client, number, "parked")
        await client.change(Change.CANCEL, "run-3")
    own.note("closed")
    own.note("left", **QUIET)
    parent.note("exit", role="service", code=0, wanted="restart")
    for each in (parent, own):
        each.close()
    Copy(site).edit(JOURNAL, lambda entry: entry | {"wall": 0})


QUIET: dict[str, Any] = {
    "is_measured": True,
    "left_open": [],
    "closed_too_many": [],
    "busy_threads": [],
    "threads_at_peak": 20,
    "memory_in_the_middle": 50 * 2**20,
    "memory_at_the_end": 50 * 2**20,
}
"""What a process notes that leaves nothing open."""


async def _start(client: Client, number: int, shape: str) -> None:
    start = StartRun(PACKAGE, Order(number, 6, shape), run_id=f"run-{number}")
    client.note_start("starting", start)
    await client.rt.start_run(PACKAGE, start.input, run_id=start.run_id)
    client.note_start("started", start)


@attrs.frozen
class Copy:
    """A copy of the database and the journals, to be damaged. Artifacts stay where they are."""

    site: Site

    def sql(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.site.database, isolation_level=None)) as conn:
            conn.execute("PRAGMA ignore_check_constraints = ON")
            for statement in statements:
                conn.execute(statement)

    def remove(self, run: str) -> None:
        """As a lost commit of its start would: no row of the run is left."""
        key = f"(SELECT run_key FROM runs WHERE id = '{run}')"
        steps = f"(SELECT step_key FROM steps WHERE run_key = {key})"
        of_steps = ("attempts", "results", "step_inputs", "checkpoints", "dependencies")
        of_run = ("artifacts", "records", "aliases", "run_metadata", "run_inputs", "steps", "runs")
        self.sql(
            *(f"DELETE FROM {table} WHERE step_key IN {steps}" for table in of_steps),
            *(f"DELETE FROM {table} WHERE run_key = {key}" for table in of_run),
        )

    def step(self, name: str, run: str = "run-0") -> str:
        """The key of a step, as SQL."""
        run_key = f"(SELECT run_key FROM runs WHERE id = '{run}')"
        return f"(SELECT step_key FROM steps WHERE run_key = {run_key} AND id = '{name}')"

    def note(self, what: str, into: str = JOURNAL, **facts: Any) -> None:
        log = Journal(self.site.logs / into)
        log.note(what, **facts)
        log.close()

    def log(self, level: int, message: str) -> None:
        """As the engine would."""
        log = Journal(self.site.logs / JOURNAL)
        JournalHandler(log).handle(logging.LogRecord("trio_workflow", level, "", 0, message, (), None))
        log.close()

    def edit(self, file: str, change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> None:
        """Change every entry of a journal; None takes it out."""
        path = self.site.logs / file
        changed = [change(entry) for entry in journal.read(path)]
        path.write_text("\n".join(json.dumps(entry) for entry in changed if entry is not None))

    def found(self, *complaints: str) -> list[str]:
        return [str(finding) for finding in audit(gather_facts(self.site, list(complaints), 1))]


Damage = Callable[[Copy], None]
DAMAGES: list[tuple[str, str, Damage]] = []


def breaks(check: str, message: str) -> Callable[[Damage], Damage]:
    """Declare that a damage to a copy is found by that check, with words of that message."""

    def note(damage: Damage) -> Damage:
        DAMAGES.append((check, message, damage))
        return damage

    return note
