"""What the database and the journals say after a load run, as plain values for the audit."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import cached_property

import attrs
from chaos import journal
from chaos.facts import Facts as Stored
from chaos.facts import gather
from chaos.program import Site

from .journals import Entry, read_all
from .settings import projections
from .workload import PROJECTIONS, Order

FOREVER = 2**63
MARGIN = 1_000_000
"""Microseconds by which an end and the time of a prune may be mistaken."""


@attrs.frozen
class History:
    """All that was journaled of one run, by time."""

    run: str
    entries: list[Entry] = attrs.field(factory=list[Entry])

    def of(self, *words: str) -> list[Entry]:
        return [entry for entry in self.entries if entry["what"] in words]

    @property
    def orders(self) -> list[Order]:
        """The inputs that its acknowledged starts had."""
        return [Order(**entry["order"]) for entry in self.of("started")]

    def asked(self, intent: str, done: str) -> list[tuple[Entry, Entry | None]]:
        """The changes of a kind that may have happened, each with its acknowledgement; no refused ones."""
        answers = {entry["call"]: entry for entry in self.of(done, "refused")}
        pairs = [(entry, answers.get(entry["call"])) for entry in self.of(intent)]
        return [(entry, answer) for entry, answer in pairs if answer is None or answer["what"] == done]


@attrs.frozen
class Prune:
    """Between two times of the wall clock it removed runs that had ended `older_than` before."""

    begin: int
    end: int
    older_than: int

    def cutoff(self, until: int) -> int:
        """Runs that ended after it were not removed by this before `until`."""
        return min(self.end, until) - self.older_than if self.begin <= until else -1


@attrs.define(slots=False)
class Facts:
    """stored: None when the database cannot be read. run_ids: None when not even those can be read.

    orders: run id -> the stored input. parent: what the parent has journaled. entries: of all others.
    tallies: the rows of the projections. errors: role -> what its processes wrote to standard error.
    complaints: of the engine's check and of SQLite's. samples: how often the locks of a process were read.
    """

    stored: Stored | None
    run_ids: set[str] | None
    orders: dict[str, Order]
    tallies: dict[str, int]
    parent: list[Entry]
    entries: list[Entry]
    errors: dict[str, str]
    complaints: list[str]
    samples: int

    def of(self, what: str) -> list[Entry]:
        return [entry for entry in self.entries if entry["what"] == what]

    def of_parent(self, what: str) -> list[Entry]:
        return [entry for entry in self.parent if entry["what"] == what]

    @cached_property
    def histories(self) -> dict[str, History]:
        found: dict[str, History] = {}
        for entry in self.entries:
            if "run" in entry:
                found.setdefault(entry["run"], History(entry["run"])).entries.append(entry)
        return found

    @cached_property
    def prunes(self) -> list[Prune]:
        """Of calls, and of runtimes that remove what has ended by themselves."""
        exits = {entry["pid"]: entry["wall"] for entry in self.of_parent("exit")}
        closed = {entry["pid"]: entry["wall"] for entry in self.of("closed")}
        done = {entry["call"]: entry["wall"] for entry in self.of("pruned")}
        calls = [
            Prune(e["wall"], done.get(e["call"], exits.get(e["pid"], FOREVER)), micros(e["older_than"]))
            for e in self.of("pruning")
        ]
        kept = [
            Prune(e["wall"], closed.get(e["pid"], exits.get(e["pid"], FOREVER)), micros(e["keep"]))
            for e in self.of("open")
            if e["keep"] is not None
        ]
        return calls + kept

    def pruned_before(self, until: int) -> int:
        """Runs that ended after that were not pruned before `until`."""
        return max((prune.cutoff(until) for prune in self.prunes), default=-1) + MARGIN


def micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


def gather_facts(site: Site, complaints: list[str], samples: int) -> Facts:
    facts = Facts(
        stored=None,
        run_ids=None,
        orders={},
        tallies={},
        parent=list(journal.read(site.logs / journal.FAULTS)),
        entries=read_all(site),
        errors={path.stem: path.read_text(errors="replace") for path in site.logs.glob("*.stderr")},
        complaints=complaints,
        samples=samples,
    )
    try:
        facts.run_ids = _run_ids(site)
        facts.stored = gather(site, complaints)
        facts.complaints = facts.stored.complaints
        facts.orders = dict(_orders(site))
        facts.tallies = dict(_tallies(site))
    except sqlite3.DatabaseError as error:
        facts.stored = None
        facts.complaints = [*complaints, f"the database cannot be read: {error}"]
    return facts


def _run_ids(site: Site) -> set[str]:
    with closing(sqlite3.connect(site.database)) as conn:
        return {run_id for (run_id,) in conn.execute("SELECT id FROM runs")}


def _orders(site: Site) -> Iterator[tuple[str, Order]]:
    with closing(sqlite3.connect(site.database)) as conn:
        for run_id, text in conn.execute("SELECT id, input FROM runs JOIN run_inputs USING (run_key)"):
            yield run_id, Order(**json.loads(text))


def _tallies(site: Site) -> Iterator[tuple[str, int]]:
    for name in PROJECTIONS:
        with closing(sqlite3.connect(projections(site) / f"{name}.db")) as conn:
            yield from conn.execute("SELECT key, value FROM tallies")
