"""Whether what is leased stood before all that is left: by priority, then by the turns that were given.

What falls due in the very transaction that leases it is not looked at: nobody saw its turn.
"""

import sqlite3
from collections.abc import Iterator

import attrs

from trio_workflow.model.changes import ClaimAnswer, ClaimRequest

_DUE = """
SELECT step_key, queue, kind, -priority AS rank, turn FROM steps WHERE status = 'ready' AND turn IS NOT NULL
"""


@attrs.frozen
class _Place:
    queue: str
    kind: str
    rank: tuple[int, int]


class Order:
    """The due steps, as they stood when the transaction under way began."""

    def __init__(self) -> None:
        self._before: dict[int, _Place] = {}

    def begin(self, conn: sqlite3.Connection) -> None:
        self._before = _places(conn)

    def overtaken(
        self, conn: sqlite3.Connection, answer: ClaimAnswer, request: ClaimRequest
    ) -> Iterator[str]:
        """Each queue in which a step was leased before one that should have come first."""
        leased = [self._before[c.step_key] for c in answer.claims if c.step_key in self._before]
        if not leased:
            return
        left = [
            place
            for key, place in _places(conn).items()
            if self._before.get(key) == place and place.kind in request.kinds
        ]
        for queue in sorted({place.queue for place in leased}):
            last = max(place.rank for place in leased if place.queue == queue)
            first = min((place.rank for place in left if place.queue == queue), default=last)
            if first < last:
                yield f"{queue}: {last} before {first}"


def _places(conn: sqlite3.Connection) -> dict[int, _Place]:
    return {key: _Place(queue, kind, (rank, turn)) for key, queue, kind, rank, turn in conn.execute(_DUE)}
