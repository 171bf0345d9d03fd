"""Which changes that no fsync covers had reached the disk: a seed decides, or a test tries all choices."""

import random
from collections.abc import Callable
from typing import Protocol, TypeVar

T = TypeVar("T")

_SHARES = (0.0, 0.1, 0.5, 0.9, 1.0)
_TORN = 0.2


class Chance(Protocol):
    def next_object(self) -> None:
        """The choices that follow are about the next file or folder."""

    def is_kept(self) -> bool:
        """Whether the next change, or the next sector of a write, had reached the disk."""

    def is_torn(self) -> bool:
        """Whether only some sectors of the next write had reached the disk."""

    def prefix(self, least: int, most: int) -> int:
        """How many changes of a sequence had reached the disk, of those that are kept in order."""


class RandomChance:
    """Each file and folder has a share of its own: a disk may have kept all of one and nothing of another.

    In one state of five no file has kept more than its fsyncs cover; in one of ten all have kept everything.
    """

    def __init__(self, source: random.Random) -> None:
        self._source = source
        kind = source.random()
        self._shares = _SHARES[:1] if kind < 0.2 else _SHARES[-1:] if kind < 0.3 else _SHARES
        self._share = 0.0

    def next_object(self) -> None:
        self._share = self._source.choice(self._shares)

    def is_kept(self) -> bool:
        return self._source.random() < self._share

    def is_torn(self) -> bool:
        return 0.0 < self._share < 1.0 and self._source.random() < _TORN

    def prefix(self, least: int, most: int) -> int:
        self.next_object()
        if self._share in (0.0, 1.0):
            return least if self._share == 0.0 else most
        return self._source.randint(least, most)


class _Script:
    """Follows choices that are given, then takes the first of each, and notes how many there were."""

    def __init__(self, choices: list[int]) -> None:
        self._given = choices
        self.taken: list[tuple[int, int]] = []  # each choice, and of how many

    def _choose(self, count: int) -> int:
        place = len(self.taken)
        choice = self._given[place] if place < len(self._given) else 0
        self.taken.append((choice, count))
        return choice

    def next_object(self) -> None:
        """All files and folders are alike."""

    def is_kept(self) -> bool:
        return self._choose(2) == 1

    def is_torn(self) -> bool:
        return self._choose(2) == 1

    def prefix(self, least: int, most: int) -> int:
        return least + self._choose(most - least + 1)


def every(draw: Callable[[Chance], T]) -> list[T]:
    """What draw returns, for every way in which its choices can fall."""
    results: list[T] = []
    choices: list[int] | None = []
    while choices is not None:
        script = _Script(choices)
        results.append(draw(script))
        choices = _following(script.taken)
    return results


def _following(taken: list[tuple[int, int]]) -> list[int] | None:
    """The choices that come after these in order, None after the last."""
    for place in reversed(range(len(taken))):
        choice, count = taken[place]
        if choice + 1 < count:
            return [earlier for earlier, _ in taken[:place]] + [choice + 1]
    return None
