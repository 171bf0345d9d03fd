"""One writer for everybody: whoever finds it idle commits for all who are waiting (group commit).

Rule 1: entries are changed only by the event loop, or by the thread that runs the batch they are in.
Rule 2: of the tasks with an entry in line one leads: it takes the whole line, runs it as one transaction in
one thread hop, and when its own entry is done hands over to the first that came meanwhile. There is no
background task, so that the store needs no nursery.
Rule 3: cancelled before it was taken, an entry never happened; once taken, it is waited for.
Rule 4: a verb that refuses does so before it writes. One that fails otherwise takes the batch back, and each
entry is then tried alone, in a transaction of its own, so that what fails fails alone.
Rule 5: nobody is answered before COMMIT.

The hard part is a leader that meets a locked database: it lets go of what it took, so that those who were
cancelled meanwhile can leave, and those who came (a renewal, say) join before the next try.
"""

import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import attrs
import outcome
import trio

from trio_workflow.clock import Clock
from trio_workflow.errors import RuntimeClosedError, StoreLostError, StoreUnavailableError, WorkflowError
from trio_workflow.model.changes import Changes
from trio_workflow.offload import Offload
from trio_workflow.source import SOURCE
from trio_workflow.store.sqlite.connections import LOCK_WAIT
from trio_workflow.store.sqlite.faults import explain, is_busy
from trio_workflow.store.sqlite.log_checkpoint import LogCheckpoint
from trio_workflow.store.sqlite.opening import FileId, refuse_newer, schema_version
from trio_workflow.store.sqlite.transaction import Tx

T = TypeVar("T")
Verb = Callable[[Tx], Any]

RENEWAL, ORDINARY, EXCHANGE = 0, 1, 2
"""Ranks within a batch: renewals first, claims last, so that they see what the others made ready."""

STUCK_AFTER = 150
"""Tries (of LOCK_WAIT seconds each) to take the lock, while no other process commits, before giving up."""


@attrs.define(eq=False)
class _Entry:
    """Verbs that one task waits for. answers: one per verb, once the entry is done."""

    verbs: tuple[Verb, ...]
    rank: int
    locks: bool = True  # whether the verbs need the write lock
    task: trio.lowlevel.Task | None = None  # parked, waiting for answers or for its turn to lead
    taken: bool = False
    cancel: Callable[[], Any] | None = None  # raises Cancelled; the task was cancelled while it was taken
    answers: list[outcome.Outcome[Any]] | None = None


@attrs.define
class WriterStatistics:
    commits: int = 0
    entries: int = 0
    largest_batch: int = 0
    locked_out: int = 0
    taken_back: int = 0


class Writer:
    """The line of entries, and the connection they are run on."""

    def __init__(self, path: str, conn: sqlite3.Connection, clock: Clock) -> None:
        self._path, self._conn, self._clock = path, conn, clock
        self._file = FileId.of(path)
        self._log = LogCheckpoint(path, conn)
        self._offload = Offload(trio.CapacityLimiter(1))
        self._line: list[_Entry] = []
        self._is_led = False
        self._committed: deque[Changes] = deque()
        self._closed = False
        self._data_version = self._rival_version = self._read_data_version()
        self.statistics = WriterStatistics()

    async def submit(self, verb: Callable[[Tx], T], rank: int = ORDINARY, *, locks: bool = True) -> T:
        """The verb's answer, after its commit; or what it raised, after its rollback."""
        [answer] = await self.submit_all((verb,), rank, locks=locks)
        value: T = answer.unwrap()
        return value

    @trio.lowlevel.enable_ki_protection
    async def submit_all(
        self, verbs: Sequence[Verb], rank: int, *, locks: bool = True
    ) -> list[outcome.Outcome[Any]]:
        """Verbs that stand in line together, so that one commit does them all; an answer for each."""
        await trio.lowlevel.checkpoint_if_cancelled()
        entry = _Entry(tuple(verbs), rank, locks)
        self._line.append(entry)
        if self._is_led:
            await self._stand_in_line(entry)
        if entry.answers is None:
            self._is_led = True
            await self._lead(entry)
        assert entry.answers is not None
        return entry.answers

    async def _stand_in_line(self, entry: _Entry) -> None:
        """Parked until the entry is done or its task has to lead."""
        entry.task = trio.lowlevel.current_task()

        def leave(raise_cancel: Callable[[], Any]) -> trio.lowlevel.Abort:
            if entry.taken:
                entry.cancel = raise_cancel
                return trio.lowlevel.Abort.FAILED
            self._line.remove(entry)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(leave)
        entry.task = None

    async def _lead(self, own: _Entry) -> None:
        """Run batches until the own entry is done; then somebody else leads, or nobody waits."""
        try:
            tries = 0
            while own.answers is None:
                await trio.lowlevel.cancel_shielded_checkpoint()  # those about to stand in line, may
                batch = self._take()
                rival = self._rival_version
                if await self._run(batch):
                    tries = 0
                    continue
                tries = tries + 1 if rival == self._rival_version else 0
                self._let_go(batch, own, is_stuck=tries >= STUCK_AFTER)
                if own.answers is None:
                    await trio.lowlevel.checkpoint_if_cancelled()
        finally:
            if own in self._line:
                self._line.remove(own)
            self._hand_over()

    def _take(self) -> list[_Entry]:
        batch = sorted(self._line, key=lambda entry: entry.rank)  # stable: in line within a rank
        self._line.clear()
        for entry in batch:
            entry.taken = True
        return batch

    async def _run(self, batch: list[_Entry]) -> bool:
        """Run a batch and wake those in it; False if the database was locked and nothing was done."""
        if self._closed:
            self._answer_all(batch, RuntimeClosedError("the workflow runtime is closed"))
        else:
            # The thread is not abandoned on cancel: what was taken is waited for.
            with trio.CancelScope(shield=True):
                if not await self._offload.run(self._run_batch, batch):
                    return False
        for entry in batch:
            if entry.task is not None:
                trio.lowlevel.reschedule(entry.task)
        return True

    def _let_go(self, batch: list[_Entry], own: _Entry, *, is_stuck: bool) -> None:
        """The database is locked: back in line, but for those who were cancelled meanwhile."""
        self.statistics.locked_out += 1
        if is_stuck:
            self._answer_all(batch, self._stuck())
        for entry in reversed(batch):
            entry.taken = False
            if entry.cancel is not None and entry.task is not None and entry.answers is None:
                trio.lowlevel.reschedule(entry.task, outcome.capture(entry.cancel))
            elif entry.answers is not None and entry.task is not None:
                trio.lowlevel.reschedule(entry.task)
            elif entry.answers is None:
                self._line.insert(0, entry)

    def _hand_over(self) -> None:
        self._is_led = bool(self._line)
        if self._line:
            successor = self._line[0].task
            assert successor is not None  # only parked tasks stand in line while somebody leads
            self._line[0].task = None
            trio.lowlevel.reschedule(successor)

    @staticmethod
    def _answer_all(batch: Sequence[_Entry], error: BaseException) -> None:
        for entry in batch:
            entry.answers = [outcome.Error(error) for _ in entry.verbs]

    # From here on: in the thread, or inline under a MockClock.

    def _run_batch(self, batch: list[_Entry]) -> bool:
        try:
            self._look_at_file()
            if not any(entry.locks for entry in batch):
                self._read_only(batch)
                return True
            if not self._begin():
                return False
            self._commit_together(batch)
            if self._log.is_due():
                self._log.run()
        except sqlite3.Error as error:
            fault = explain(error, self._path)
            fault.__cause__ = error
            self._answer_all([entry for entry in batch if entry.answers is None], fault)
        except Exception as error:  # whatever it is, nobody may wait for ever
            self._answer_all([entry for entry in batch if entry.answers is None], error)
        return True

    def _look_at_file(self) -> None:
        found = FileId.of(self._path)
        if found != self._file:
            what = "was deleted" if found is None else "was replaced by another file"
            raise StoreLostError(f"workflow store {self._path} {what} while the runtime was using it")

    def _begin(self) -> bool:
        """Take the write lock; False if another connection holds it."""
        try:
            # Jittered, so that processes that wait for each other do not do so in step.
            self._conn.execute(f"PRAGMA busy_timeout = {int(LOCK_WAIT * 1000 * (0.5 + SOURCE.roll()))}")
            self._conn.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if is_busy(error):
                self._rival_version = self._read_data_version()
                return False
            raise
        return True

    def _begin_patiently(self) -> None:
        """For a batch that was taken back and can not be put in line again: the thread itself waits."""
        tries, rival = 0, self._rival_version
        while not self._begin():
            tries = tries + 1 if rival == self._rival_version else 0
            rival = self._rival_version
            if self._closed:
                raise RuntimeClosedError("the workflow runtime is closed")
            if tries >= STUCK_AFTER:
                raise self._stuck()

    def _stuck(self) -> StoreUnavailableError:
        return StoreUnavailableError(f"workflow store {self._path} has been locked for too long")

    def _commit_together(self, batch: list[_Entry]) -> None:
        tx = Tx(self._conn, self._clock.now())
        try:
            answers = _ask_all(batch, tx)
            self._conn.execute("COMMIT")
        except Exception:
            # A full disk ends the transaction by itself, and a statement after that would be stored at once.
            if self._conn.in_transaction:
                self._conn.execute("ROLLBACK")
            self.statistics.taken_back += 1
            self._commit_one_by_one(batch)
            return
        except BaseException:
            if self._conn.in_transaction:
                self._conn.execute("ROLLBACK")
            raise
        self._count(len(batch), tx)
        for entry, answer in zip(batch, answers, strict=True):
            entry.answers = answer

    def _commit_one_by_one(self, batch: list[_Entry]) -> None:
        for entry in batch:
            entry.answers = [self._commit_alone(verb) for verb in entry.verbs]

    def _commit_alone(self, verb: Verb) -> outcome.Outcome[Any]:
        try:
            self._begin_patiently()
            tx = Tx(self._conn, self._clock.now())
            answer = _ask(verb, tx)
            self._conn.execute("COMMIT")
        except Exception as error:
            if self._conn.in_transaction:
                self._conn.execute("ROLLBACK")
            if not isinstance(error, sqlite3.Error):
                return outcome.Error(error)
            fault = explain(error, self._path)
            fault.__cause__ = error
            return outcome.Error(fault)
        self._count(1, tx)
        return answer

    def _read_only(self, batch: list[_Entry]) -> None:
        answers = _ask_all(batch, Tx(self._conn, self._clock.now()))
        for entry, answer in zip(batch, answers, strict=True):
            entry.answers = answer

    def _count(self, entries: int, tx: Tx) -> None:
        self._committed.extend(tx.changes)
        self.statistics.commits += 1
        self.statistics.entries += entries
        self.statistics.largest_batch = max(self.statistics.largest_batch, entries)

    def has_news(self, tx: Tx) -> bool:
        """A verb: whether another connection has committed since this was last asked."""
        before, self._data_version = self._data_version, self._read_data_version()
        if before == self._data_version:
            return False
        refuse_newer(self._path, schema_version(tx.conn))
        return True

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

    # The end.

    @property
    def checkpoints(self) -> int:
        return self._log.runs

    def sever(self) -> None:
        """Nothing more is written; what is in line, or comes later, meets RuntimeClosedError."""
        self._closed = True

    def close(self) -> None:
        """For when nobody is in line any more."""
        self.sever()
        self._log.close()
        self._conn.close()


def _ask_all(batch: Sequence[_Entry], tx: Tx) -> list[list[outcome.Outcome[Any]]]:
    return [[_ask(verb, tx) for verb in entry.verbs] for entry in batch]


def _ask(verb: Verb, tx: Tx) -> outcome.Outcome[Any]:
    """The verb's answer, or its refusal. Anything else it raises is raised: the transaction is not sound."""
    before = tx.conn.total_changes
    try:
        return outcome.Value(verb(tx))
    except WorkflowError as refusal:
        if tx.conn.total_changes != before:
            raise
        return outcome.Error(refusal)
