"""What commits changed, told to those who wait for it.

State: the bells of sessions, and the events of tasks that wait for runs. Only the event loop touches it.
Rule: a bell is a hint, the claim is the truth; but within one process no bell is lost, so that nothing waits
for a poll.
"""

from collections.abc import Collection, Mapping
from typing import Protocol

import trio

from trio_workflow.model.changes import Changes
from trio_workflow.model.status import RunStatus
from trio_workflow.runtime.events import EventBoard


class Worker(Protocol):
    """Who starts steps, as the hub knows them."""

    def ring(self) -> None:
        """There may be work."""
        ...

    def revoke(self, tokens: Collection[str]) -> None:
        """These leases no longer hold."""
        ...

    def leases(self) -> Collection[tuple[int, str]]:
        """Step key and token of each lease whose executor runs."""
        ...

    def unexpired(self) -> Collection[str]:
        """Tokens of the leases in hand that by this process's clock still hold."""
        ...

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in hand."""
        ...


class Hub:
    def __init__(self, board: EventBoard) -> None:
        self._board = board
        # In the order they came, so that a seeded schedule repeats itself: sets of objects have none.
        self._workers: dict[Worker, None] = {}
        self._waiting: dict[str, dict[trio.Event, None]] = {}

    def join(self, worker: Worker) -> None:
        self._workers[worker] = None

    def leave(self, worker: Worker) -> None:
        self._workers.pop(worker, None)
        self.ring()  # who waits until nothing is in hand may look

    def publish(self, changes: Changes) -> None:
        """Tell everybody what a commit changed. Called right after it, without a checkpoint between."""
        if changes.revoked:
            self.revoke(changes.revoked)
        # What was revoked has freed slots of its queue, though it was another process's.
        if changes.ready or changes.revoked or changes.due is not None:
            self.ring()
        for run in changes.runs:
            if run.status.is_final:
                self._wake(run.run_id)
        self._board.changed(changes)

    def ring(self, *, but: Worker | None = None) -> None:
        for worker in self._workers:
            if worker is not but:
                worker.ring()

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in hand of anyone in this runtime."""
        return all(worker.is_idle for worker in self._workers)

    def revoke(self, tokens: Collection[str]) -> None:
        for worker in self._workers:
            worker.revoke(tokens)

    def leases(self) -> list[tuple[int, str]]:
        """Step key and token of every lease whose executor runs in this process."""
        return [lease for worker in self._workers for lease in worker.leases()]

    def unexpired(self) -> frozenset[str]:
        """Tokens of all leases of this runtime that by its own clock still hold."""
        return frozenset(token for worker in self._workers for token in worker.unexpired())

    @property
    def awaited_runs(self) -> list[str]:
        return list(self._waiting)

    def note_states(self, states: Mapping[str, RunStatus], asked: Collection[str]) -> None:
        """States of runs asked for, read because another process may have ended, or deleted, some."""
        for run_id in asked:
            status = states.get(run_id)
            if status is None or status.is_final:
                self._wake(run_id)

    def wake_all(self) -> None:
        for run_id in self.awaited_runs:
            self._wake(run_id)

    def _wake(self, run_id: str) -> None:
        for event in self._waiting.pop(run_id, ()):
            event.set()

    def expect(self, run_id: str) -> trio.Event:
        """An event that is set when the run has ended. Give it back with `forget`."""
        event = trio.Event()
        self._waiting.setdefault(run_id, {})[event] = None
        return event

    def forget(self, run_id: str, event: trio.Event) -> None:
        waiting = self._waiting.get(run_id)
        if waiting is not None:
            waiting.pop(event, None)
            if not waiting:
                del self._waiting[run_id]
