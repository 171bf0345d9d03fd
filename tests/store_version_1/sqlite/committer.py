"""One transaction for a batch of entries: all of it that runs in the thread that holds the connection.

Rule 1: a verb that refuses does so before it writes. One that fails otherwise takes the batch back, and each
verb is then tried alone, in a transaction of its own, so that what fails fails alone.
Rule 2: nobody is answered, and no change is told, before COMMIT.
"""

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import attrs
import outcome
import trio

from trio_workflow.clock import Clock
from trio_workflow.errors import RuntimeClosedError, StoreLostError, StoreUnavailableError, WorkflowError
from trio_workflow.model.changes import Changes
from trio_workflow.points import POINTS, Point
from trio_workflow.source import SOURCE
from trio_workflow.store.sqlite.connections import LOCK_WAIT, connect_to_look
from trio_workflow.store.sqlite.faults import is_busy
from trio_workflow.store.sqlite.log_checkpoint import LogCheckpoint
from trio_workflow.store.sqlite.opening import refuse_newer, schema_version
from trio_workflow.store.sqlite.transaction import Tx
from trio_workflow.store.sqlite.watch import Watch

Verb = Callable[[Tx], Any]

STUCK_AFTER = 150
"""Tries (of LOCK_WAIT seconds each) to take the lock, while no other process commits, before giving up."""


@attrs.define(eq=False)
class Entry:
    """Verbs that one task waits for. answers: one per verb, once the entry is done."""

    verbs: tuple[Verb, ...]
    rank: int
    locks: bool = True  # whether the verbs need the write lock
    task: trio.lowlevel.Task | None = None  # parked, waiting for answers or for its turn to lead
    taken: bool = False
    cancel: Callable[[], Any] | None = None  # raises Cancelled; the task was cancelled while it was taken
    answers: list[outcome.Outcome[Any]] | None = None

    def fail(self, error: BaseException) -> None:
        self.answers = [outcome.Error(error) for _ in self.verbs]


@attrs.define
class CommitStatistics:
    commits: int = 0
    entries: int = 0
    largest_batch: int = 0
    locked_out: int = 0
    taken_back: int = 0


class Committer:
    """Holds the writer connection. Its methods are called by one thread at a time, or inline."""

    def __init__(self, path: str, conn: sqlite3.Connection, clock: Clock) -> None:
        self._path, self._conn, self._clock = path, conn, clock
        self.watch = Watch(path)
        self._look = connect_to_look(path)
        self._log = LogCheckpoint(path, conn)
        self._committed: deque[Changes] = deque()
        self.rival_version = self._read_data_version()  # moves while others get the lock that we wait for
        self.is_severed = False
        self.statistics = CommitStatistics()

    def run(self, batch: list[Entry]) -> bool:
        """Answer every entry; False if the database was locked and nothing was done."""
        try:
            if self.is_severed:
                raise RuntimeClosedError("the workflow runtime is closed")
            self.watch.refuse()
            self.watch.look()
            if not any(entry.locks for entry in batch):
                self._read_only(batch)
                return True
            if not self._begin():
                return False
            self._commit_together(batch)
            if self._log.is_due():
                self._log.run()
        except sqlite3.Error as error:
            self._fail_rest(batch, self._explained(error))
        except Exception as error:  # whatever it is, nobody may wait for ever
            self.watch.note(error)
            self._fail_rest(batch, error)
        return True

    @staticmethod
    def _fail_rest(batch: list[Entry], error: Exception) -> None:
        for entry in batch:
            if entry.answers is None:
                entry.fail(error)

    def _explained(self, error: sqlite3.Error) -> Exception:
        fault = self.watch.explain(error)
        fault.__cause__ = error
        return fault

    def _begin(self) -> bool:
        """Take the write lock; False if another connection holds it."""
        try:
            POINTS.reach(Point.LOCK, self._path)
            self._conn.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if is_busy(error):
                # Jittered, so that processes that wait for each other do not do so in step.
                self._conn.execute(f"PRAGMA busy_timeout = {int(LOCK_WAIT * 1000 * (0.5 + SOURCE.roll()))}")
                self.rival_version = self._read_data_version()
                return False
            raise
        try:
            refuse_newer(self._path, schema_version(self._conn))
        except BaseException:
            self._conn.execute("ROLLBACK")
            raise
        return True

    def _begin_patiently(self) -> None:
        """For a batch that was taken back and can not be put in line again: the thread itself waits."""
        tries, rival = 0, self.rival_version
        while True:
            if self.is_severed:  # also by what came after the verb before this one
                raise RuntimeClosedError("the workflow runtime is closed")
            self.watch.refuse()
            if self._begin():
                return
            tries = tries + 1 if rival == self.rival_version else 0
            rival = self.rival_version
            if tries >= STUCK_AFTER:
                raise self.stuck()

    def stuck(self) -> StoreUnavailableError:
        return StoreUnavailableError(f"workflow store {self._path} has been locked for too long")

    def _commit_together(self, batch: list[Entry]) -> None:
        tx = Tx(self._conn, self._clock.now())
        try:
            POINTS.reach(Point.BEGIN, tx)
            answers = _ask_all(batch, tx)
            self._commit(tx)
        except Exception:
            self._roll_back(tx)
            self.statistics.taken_back += 1
            self._commit_one_by_one(batch)
            return
        except BaseException:
            self._roll_back(tx)
            raise
        self._count(len(batch), tx)
        for entry, answer in zip(batch, answers, strict=True):
            entry.answers = answer
        POINTS.reach(Point.COMMITTED, batch, tx)

    def _commit(self, tx: Tx) -> None:
        POINTS.reach(Point.COMMIT, tx)
        self._conn.execute("COMMIT")

    def _roll_back(self, tx: Tx) -> None:
        # A full disk ends the transaction by itself, and a statement after that would be stored at once.
        if self._conn.in_transaction:
            self._conn.execute("ROLLBACK")
        POINTS.reach(Point.TAKEN_BACK, tx)

    def _commit_one_by_one(self, batch: list[Entry]) -> None:
        for entry in batch:
            entry.answers = [self._commit_alone(verb) for verb in entry.verbs]

    def _commit_alone(self, verb: Verb) -> outcome.Outcome[Any]:
        tx: Tx | None = None
        try:
            self._begin_patiently()
            tx = Tx(self._conn, self._clock.now())
            POINTS.reach(Point.BEGIN, tx)
            answer = _ask(verb, tx)
            self._commit(tx)
        except Exception as error:
            if tx is not None:
                self._roll_back(tx)
            return outcome.Error(self._explained(error) if isinstance(error, sqlite3.Error) else error)
        self._count(1, tx)
        POINTS.reach(Point.COMMITTED, (), tx)
        return answer

    def _read_only(self, batch: list[Entry]) -> None:
        answers = _ask_all(batch, Tx(self._conn, self._clock.now()))
        for entry, answer in zip(batch, answers, strict=True):
            entry.answers = answer

    def _count(self, entries: int, tx: Tx) -> None:
        self._committed.extend(tx.changes)
        self.statistics.commits += 1
        self.statistics.entries += entries
        self.statistics.largest_batch = max(self.statistics.largest_batch, entries)

    def data_version(self, tx: Tx) -> int:
        """A verb: a number that has changed if another connection has committed."""
        refuse_newer(self._path, schema_version(tx.conn))
        return self._read_data_version()

    def _read_data_version(self) -> int:
        """Changes when another connection commits, and only then: our own commits do not count here."""
        version: int = self._conn.execute("PRAGMA data_version").fetchone()[0]
        return version

    def take_changes(self) -> list[Changes]:
        """What was changed since this was last asked, in the order of the commits and their verbs."""
        taken: list[Changes] = []
        while self._committed:  # the thread may be adding to it
            taken.append(self._committed.popleft())
        return taken

    def ask_for_checkpoint(self) -> None:
        """A verb's wish: after its commit the log is copied back."""
        self._log.ask()

    @property
    def checkpoints(self) -> int:
        return self._log.runs

    def close(self) -> None:
        """The last connection copies the log back into the file, and removes it, unless the file is lost.

        What lies under the names of the file and its log may be somebody else's by now.
        """
        with suppress(StoreLostError):
            self.watch.look()
        if self.watch.error is None:
            self._look.close()
        self._log.close()
        self._conn.close()
        self._look.close()


def _ask_all(batch: Sequence[Entry], tx: Tx) -> list[list[outcome.Outcome[Any]]]:
    return [[_ask(verb, tx) for verb in entry.verbs] for entry in batch]


def _ask(verb: Verb, tx: Tx) -> outcome.Outcome[Any]:
    """The verb's answer, or its refusal. Anything else it raises is raised: the transaction is not sound."""
    before = tx.conn.total_changes
    answer: outcome.Outcome[Any]
    try:
        answer = outcome.Value(verb(tx))
    except WorkflowError as refusal:
        if tx.conn.total_changes != before:
            raise
        answer = outcome.Error(refusal)
    POINTS.reach(Point.VERB, tx, verb, answer)
    return answer
