"""The queues with due steps, and who of them may start now.

Rule: the leases of a queue never exceed its limit, nor its starts its rate, over all processes. Both are read
here from the store and written in the same transaction.
"""

from typing import Any, NamedTuple

import attrs

from trio_workflow.model.changes import ClaimRequest
from trio_workflow.model.policy import QueueConfig, RateLimit
from trio_workflow.rules import token_bucket
from trio_workflow.rules.shares import deal
from trio_workflow.store.sqlite.transaction import Tx
from trio_workflow.store.sqlite.verbs.expire import Leased


@attrs.frozen
class QueueRow:
    """A queue's stored state. config: None when nobody configured it."""

    config: QueueConfig | None
    tat: int | None


class Candidate(NamedTuple):  # compared a hundred times in a claim: as a tuple it costs a tenth
    """A due step: the columns of `candidates`; ordered as steps start within a queue."""

    rank: int  # minus the priority
    turn: int
    step_key: int


UNKNOWN = QueueRow(None, None)


def queue_row(row: Any) -> QueueRow:
    limit = None if row["rate"] is None else RateLimit(row["rate"], row["burst"])
    config = None if row["max_workers"] is None else QueueConfig(row["max_workers"], limit)
    return QueueRow(config, row["tat"])


class Hall:
    """The queues with due steps, and who of them may go in. One object serves one claim.

    limited: queues short of tokens, with when the next one comes. held_back: unconfigured queues whose limit
    left a free worker idle. unclaimed_kinds: kinds with due steps that this worker does not have.
    """

    def __init__(self, tx: Tx, request: ClaimRequest, leased: dict[str, Leased]) -> None:
        self._tx, self._request, self._leased = tx, request, leased
        self._rows: dict[str, QueueRow] = {}  # of the queues met so far
        self.limited: dict[str, int] = {}
        self.held_back: set[str] = set()
        self.unclaimed_kinds: set[str] = set()

    def choose(self) -> dict[str, list[Candidate]]:
        """The steps to lease, by queue, within every limit."""
        request = self._request
        found = {
            queue: self._within_rate(queue, kinds, slots)
            for queue, kinds in self._groups().items()
            if (slots := self._slots(queue)) > 0
        }
        shares = deal(request.limit, {queue: len(steps) for queue, steps in found.items()}, request.after)
        return {queue: found[queue][:share] for queue, share in shares.items() if share}

    def _groups(self) -> dict[str, list[str]]:
        """Queues that this worker serves, with their kinds that have due steps and an executor here."""
        groups: dict[str, list[str]] = {}
        row = self._tx.one("first_group")
        while row is not None:
            queue, kind = row
            if self._request.queues is None or queue in self._request.queues:
                if kind in self._request.kinds:
                    groups.setdefault(queue, []).append(kind)
                else:
                    self.unclaimed_kinds.add(kind)
            # Not as one comparison, (queue, kind) > (?, ?): SQLite would walk over all rows of that pair.
            at = {"queue": queue, "kind": kind}
            row = self._tx.one("next_kind", at) or self._tx.one("next_queue", at)
        return groups

    def _slots(self, queue: str) -> int:
        """How many steps of the queue its limit lets start now, and the asker has room for."""
        limit = self.config(queue).max_workers
        running = self._leased[queue].running if queue in self._leased else 0
        free = min(limit - running, self._request.free.get(queue, limit))
        if free <= 0 and not self._is_configured(queue):
            self.held_back.add(queue)
        return min(free, self._request.limit)

    def _within_rate(self, queue: str, kinds: list[str], slots: int) -> list[Candidate]:
        """The first due steps, as many as there are slots and tokens; notes whether tokens were short."""
        rate = self.config(queue).rate_limit
        if rate is None:
            return self._candidates(queue, kinds, slots)
        now, slack, tat = self._tx.now, self._request.lease, self._settle(queue, rate)
        tokens = token_bucket.available(tat, now, rate, slack)
        found = self._candidates(queue, kinds, min(slots, tokens + 1))
        if len(found) > tokens:
            self.limited[queue] = token_bucket.next_token_at(tat, now, rate, slack)
        return found[:tokens]

    def _settle(self, queue: str, rate: RateLimit) -> int | None:
        """The tat. One set anew since the clock went far back is stored, or each claim would set it anew."""
        tat = self._tat(queue)
        settled = token_bucket.settled(tat, self._tx.now, rate, self._request.lease)
        if tat is None or settled >= tat:
            return tat
        self._tx.run("set_queue_turn", {"queue": queue, "turn": 0, "tat": settled})
        self._rows[queue] = attrs.evolve(self._row(queue), tat=settled)
        return settled

    def _candidates(self, queue: str, kinds: list[str], limit: int) -> list[Candidate]:
        found = [
            Candidate._make(row)
            for kind in kinds
            for row in self._tx.all("candidates", {"queue": queue, "kind": kind, "limit": limit})
        ]
        found.sort()
        return found[:limit]

    def note_starts(self, chosen: dict[str, list[Candidate]]) -> None:
        """Advance the queues' turns, and take the tokens of what starts."""
        for queue, steps in chosen.items():
            rate, tat = self.config(queue).rate_limit, None
            if rate is not None:
                slack = self._request.lease
                tat = token_bucket.taken(self._tat(queue), self._tx.now, rate, slack, len(steps))
                if queue in self.limited:
                    self.limited[queue] = token_bucket.next_token_at(tat, self._tx.now, rate, slack)
            self._tx.run(
                "set_queue_turn", {"queue": queue, "turn": max(step.turn for step in steps), "tat": tat}
            )

    def config(self, queue: str) -> QueueConfig:
        """The stored limits, else the asker's default."""
        return self._row(queue).config or self._request.default_queue

    def _is_configured(self, queue: str) -> bool:
        return self._row(queue).config is not None

    def _tat(self, queue: str) -> int | None:
        return self._row(queue).tat

    def _row(self, queue: str) -> QueueRow:
        if queue not in self._rows:
            row = self._tx.one("queue_row", (queue,))
            self._rows[queue] = UNKNOWN if row is None else queue_row(row)
        return self._rows[queue]
