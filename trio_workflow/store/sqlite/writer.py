"""One writer for everybody: whoever finds it idle commits for all who are waiting (group commit).

Rule 1: entries are changed only by the event loop, or by the thread that runs the batch they are in.
Rule 2: of the tasks with an entry in line one leads: it takes the line from its front, has it run as one
transaction in one thread hop, and when its own entry is done hands over to the first that came meanwhile.
There is no background task, so that the store needs no nursery.
Rule 3: cancelled before it was taken, an entry never happened; once taken, it is waited for.
Rule 4: a batch is the longest front of the line whose entries are all durable, or all not. So both kinds of
entry are run in the order in which they came, and neither can keep the other waiting for ever.

The hard part is a leader that meets a locked database: it lets go of what it took, so that those who were
cancelled meanwhile can leave, and those who came (a renewal, say) join before the next try.
"""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import outcome
import trio

from trio_workflow.errors import RuntimeClosedError, StoreUnavailableError
from trio_workflow.offload import Offload
from trio_workflow.points import POINTS, Point
from trio_workflow.store.sqlite import committer as committing
from trio_workflow.store.sqlite.committer import Committer, Entry, Verb
from trio_workflow.store.sqlite.transaction import Tx

T = TypeVar("T")

RENEWAL, ORDINARY, EXCHANGE = 0, 1, 2
"""Ranks within a batch: renewals first, claims last, so that they see what the others made ready."""


class Writer:
    """The line of entries, for one committer."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        # One at a time: aclose goes through it too, and must not close a connection that a thread uses.
        self._offload = Offload(trio.CapacityLimiter(1))
        self._line: list[Entry] = []
        self._is_led = False

    async def submit(
        self, verb: Callable[[Tx], T], rank: int = ORDINARY, *, locks: bool = True, durable: bool = False
    ) -> T:
        """The verb's answer, after its commit; or what it raised, after its rollback."""
        [answer] = await self.submit_all((verb,), rank, locks=locks, durable=durable)
        value: T = answer.unwrap()
        return value

    @trio.lowlevel.enable_ki_protection
    async def submit_all(
        self, verbs: Sequence[Verb], rank: int, *, locks: bool = True, durable: bool = False
    ) -> list[outcome.Outcome[Any]]:
        """Verbs that stand in line together, so that one commit does them all; an answer for each."""
        await trio.lowlevel.checkpoint_if_cancelled()
        entry = Entry(tuple(verbs), rank, locks, durable)
        self._line.append(entry)
        if self._is_led:
            await self._stand_in_line(entry)
        if entry.answers is None:
            self._is_led = True
            await self._lead(entry)
        assert entry.answers is not None
        return entry.answers

    async def _stand_in_line(self, entry: Entry) -> None:
        """Parked until the entry is done or its task has to lead."""
        entry.task = trio.lowlevel.current_task()

        def leave(raise_cancel: Callable[[], Any]) -> trio.lowlevel.Abort:
            POINTS.reach(Point.TOO_LATE if entry.taken else Point.LEFT)
            if entry.taken:
                entry.cancel = raise_cancel
                return trio.lowlevel.Abort.FAILED
            self._line.remove(entry)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(leave)
        entry.task = None

    async def _lead(self, own: Entry) -> None:
        """Run batches until the own entry is done; then somebody else leads, or nobody waits."""
        try:
            tries = 0
            while own.answers is None:
                await trio.lowlevel.cancel_shielded_checkpoint()  # those about to stand in line, may
                batch = self._take()
                rival = self._committer.rival_version
                if await self._run(batch):
                    tries = 0
                else:
                    tries = tries + 1 if rival == self._committer.rival_version else 0
                    self._let_go(batch, own, is_stuck=tries >= committing.STUCK_AFTER)
                if own.answers is None:
                    await trio.lowlevel.checkpoint_if_cancelled()
        finally:
            if own.answers is None:
                POINTS.reach(Point.GAVE_UP)
            if own in self._line:
                self._line.remove(own)
            self._hand_over()

    def _take(self) -> list[Entry]:
        durable, line = self._line[0].durable, self._line
        end = next((n for n, entry in enumerate(line) if entry.durable is not durable), len(line))
        batch = sorted(line[:end], key=lambda entry: entry.rank)  # stable: in line within a rank
        del line[:end]
        for entry in batch:
            entry.taken = True
        return batch

    async def _run(self, batch: list[Entry]) -> bool:
        """Run a batch and wake those in it; False if the database was locked and nothing was done."""
        if self._committer.is_severed:
            for entry in batch:
                entry.fail(RuntimeClosedError("the workflow runtime is closed"))
        else:
            # The thread is not abandoned on cancel: what was taken is waited for.
            with trio.CancelScope(shield=True):
                try:
                    if not await self._offload.run(self._committer.run, batch):
                        return False
                except Exception as error:  # no thread could be started: nobody may wait for ever
                    for entry in batch:
                        entry.fail(StoreUnavailableError(f"the workflow store cannot be written: {error}"))
        for entry in batch:
            if entry.task is not None:
                trio.lowlevel.reschedule(entry.task)
        return True

    def _let_go(self, batch: list[Entry], own: Entry, *, is_stuck: bool) -> None:
        """The database is locked: back in line, but for those who were cancelled meanwhile."""
        self._committer.statistics.locked_out += 1
        if is_stuck:
            for entry in batch:
                entry.fail(self._committer.stuck())
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

    def sever(self) -> None:
        """Nothing more is written; what is in line, or comes later, meets RuntimeClosedError."""
        self._committer.is_severed = True

    async def aclose(self) -> None:
        """The batch under way is the last, and is waited for: it uses the connection."""
        self.sever()
        await self._offload.run_cleanup(self._committer.close)
