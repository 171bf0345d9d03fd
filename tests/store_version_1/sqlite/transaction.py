"""What a verb works on: one write transaction, and the book that keeps the runs' counters in step.

Rule 1: a verb changes a step's status only through Book.move, which asks the table of legal moves.
Rule 2: counters and status of every run a verb touched are written once, when its book is closed.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import attrs

from trio_workflow.errors import StoreError
from trio_workflow.model.changes import Changes, RunMove, StepMove
from trio_workflow.model.status import RunStatus, StepStatus
from trio_workflow.rules.run_status import Tally, run_status
from trio_workflow.rules.shares import turn_of
from trio_workflow.rules.transitions import StepEvent, after
from trio_workflow.store.sqlite.rows import to_json
from trio_workflow.store.sqlite.statements import SQL

Params = Sequence[Any] | dict[str, Any]


@attrs.frozen
class Tx:
    """A write transaction that is under way. now: microseconds, read once after the write lock was held.

    changes: what its verbs have changed so far, in their order.
    """

    conn: sqlite3.Connection
    now: int
    changes: list[Changes] = attrs.field(factory=list[Changes])

    def run(self, name: str, params: Params = ()) -> sqlite3.Cursor:
        return self.conn.execute(SQL[name], params)

    def many(self, name: str, rows: Iterable[Params]) -> None:
        self.conn.executemany(SQL[name], rows)

    def one(self, name: str, params: Params = ()) -> Any:
        return self.conn.execute(SQL[name], params).fetchone()

    def all(self, name: str, params: Params = ()) -> list[Any]:
        return self.conn.execute(SQL[name], params).fetchall()


@attrs.define
class RunEntry:
    """A run's counters while a verb changes them. status: the one stored before."""

    run_key: int
    id: str
    package: str
    name: str
    status: RunStatus
    started_at: int | None
    turns: dict[str, int]  # the last turn a step of the run got, by queue
    tally: Tally
    canceled: bool
    is_new: bool = False


@attrs.define
class Book:
    """What one verb changes, kept until it is done: counters of runs, turns of queues, and the moves made."""

    tx: Tx
    steps: list[StepMove] = attrs.field(factory=list[StepMove])
    revoked: list[str] = attrs.field(factory=list[str])
    ready: bool = False
    due: int | None = None
    _runs: dict[int, RunEntry] = attrs.field(factory=dict[int, RunEntry])
    _turns: dict[str, int] = attrs.field(factory=dict[str, int])

    def run(self, run_key: int) -> RunEntry:
        entry = self._runs.get(run_key)
        if entry is None:
            entry = self._runs[run_key] = self._load(run_key)
        return entry

    def open_run(self, run_key: int, run_id: str, package: str, name: str) -> RunEntry:
        """Enter a run that this transaction has just inserted."""
        entry = RunEntry(
            run_key, run_id, package, name, RunStatus.PENDING, None, {}, Tally(), False, is_new=True
        )
        self._runs[run_key] = entry
        return entry

    def _load(self, run_key: int) -> RunEntry:
        row = self.tx.one("load_tally", (run_key,))
        if row is None:
            raise StoreError(f"the store has steps of a run that is gone (run_key {run_key})")
        run_id, package, name, status, started_at, turns, *counts = row
        status = RunStatus(status)
        return RunEntry(
            run_key,
            run_id,
            package,
            name,
            status,
            started_at,
            json.loads(turns),
            Tally(*counts),
            status is RunStatus.CANCELED,
        )

    def move(
        self, run_key: int, before: StepStatus, event: StepEvent, count: int = 1, *, excused: bool = False
    ) -> StepStatus:
        """Count the move of a step, or of several, along the table. excused: the run allows its failure."""
        status = after(before, event)
        tally = self.run(run_key).tally
        tally.add(before, -count)
        tally.add(status, count)
        if excused and StepStatus.FAILED in (before, status):
            tally.excused += count if status is StepStatus.FAILED else -count
        return status

    def start(self, run_key: int) -> None:
        entry = self.run(run_key)
        if entry.started_at is None:
            entry.started_at = self.tx.now

    def turn(self, queue: str, run_key: int) -> int:
        """The turn of a step of that run that falls due in that queue now."""
        if queue not in self._turns:
            row = self.tx.one("queue_turn", (queue,))
            self._turns[queue] = row[0] if row else 0
        turns = self.run(run_key).turns
        turns[queue] = turn_of(self._turns[queue], turns.get(queue, 0))
        return turns[queue]

    def place(self, queue: str, run_key: int, delay: int) -> tuple[int, int | None]:
        """ready_at and turn of a step that becomes ready with that delay (microseconds)."""
        ready_at = self.tx.now + delay
        if delay:
            self.due = ready_at if self.due is None else min(self.due, ready_at)
            return ready_at, None
        self.ready = True
        return ready_at, self.turn(queue, run_key)

    def close(self) -> Changes:
        """Write every touched run's counters and status; answers what changed."""
        moves: list[RunMove] = []
        for entry in self._runs.values():
            status = self._store(entry)
            if status is not entry.status or entry.is_new:
                moves.append(RunMove(entry.id, entry.package, entry.name, status, entry.is_new))
        changes = Changes(
            steps=tuple(self.steps),
            runs=tuple(moves),
            revoked=tuple(self.revoked),
            ready=self.ready,
            due=self.due,
        )
        self.tx.changes.append(changes)
        return changes

    def _store(self, entry: RunEntry) -> RunStatus:
        tally = entry.tally
        status = run_status(tally, canceled=entry.canceled, started=entry.started_at is not None)
        self.tx.run(
            "store_tally",
            {
                "run_key": entry.run_key,
                "status": status,
                "turns": to_json(entry.turns),
                "started_at": entry.started_at,
                "finished_at": self.tx.now if status.is_final else None,
                "now": self.tx.now,
                "pending": tally.pending,
                "ready": tally.ready,
                "running": tally.running,
                "succeeded": tally.succeeded,
                "failed": tally.failed,
                "canceled": tally.canceled,
                "excused": tally.excused,
            },
        )
        return status
