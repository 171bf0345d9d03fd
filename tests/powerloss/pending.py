"""Changes of one file or folder: an fsync made some of them durable, the disk may have dropped the others."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from .events import Event, Sync

E = TypeVar("E", bound=Event)


class Pending(Generic[E]):
    """apply makes one change durable. Changes are made in the order in which they were issued.

    A change that is covered waits behind an earlier one that is not: which of them came last is not known.
    """

    def __init__(self, apply: Callable[[E], None]) -> None:
        self._apply = apply
        self._changes: list[E] = []
        self._covered: set[int] = set()  # the begin of changes that wait

    def add(self, change: E) -> None:
        self._changes.append(change)

    def cover(self, sync: Sync) -> None:
        """That fsync has returned: what had returned before it was issued is durable."""
        self._covered.update(c.begin for c in self._changes if c.is_over_before(sync.begin))
        durable = 0
        while durable < len(self._changes) and self._changes[durable].begin in self._covered:
            self._apply(self._changes[durable])
            self._covered.discard(self._changes[durable].begin)
            durable += 1
        del self._changes[:durable]

    def __iter__(self) -> Iterator[tuple[E, bool]]:
        """Each change that is not made yet, and whether it is covered."""
        return ((change, change.begin in self._covered) for change in self._changes)
