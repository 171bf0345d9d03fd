"""Whether free slots are dealt to the queues in turns: none gets a second one before each had its first."""

from collections import Counter
from collections.abc import Iterator, Mapping

import attrs


@attrs.frozen
class Dealt:
    """What a claim dealt. could: how many it might have leased of each queue, if that had been the only one.

    claimed: how many it leased. is_sure: whether no queue's rate, which nobody foresees, had a say.
    """

    could: Mapping[str, int]
    claimed: Mapping[str, int]
    is_sure: bool

    @property
    def wanting(self) -> frozenset[str]:
        return frozenset(queue for queue, most in self.could.items() if most)

    @property
    def only(self) -> str | None:
        """The queue that got the only slot there was for several, if it was like that."""
        is_scarce = self.is_sure and len(self.wanting) > 1 and sum(self.claimed.values()) == 1
        return next(queue for queue, share in self.claimed.items() if share) if is_scarce else None


Claimer = tuple[str, frozenset[str] | None]
"""A process, and the queues that it claims from: all, or some."""


class Shares:
    """is_watched: every process hears what it has leased, so that it can let others go first next time."""

    def __init__(self) -> None:
        self.is_watched = True
        self._last: dict[Claimer, Dealt] = {}  # the last claim of each that leased something
        self._waits: dict[Claimer, Counter[str]] = {}  # how often in a row each queue got nothing
        self._queues: set[str] = set()

    def starved(self, claimer: Claimer, dealt: Dealt) -> Iterator[tuple[str, str]]:
        """Told of every claim in turn; answers what it broke."""
        if not self.is_watched or not sum(dealt.claimed.values()):
            return
        for queue, most in dealt.could.items():
            got = dealt.claimed.get(queue, 0)
            greedy = max((share for other, share in dealt.claimed.items() if other != queue), default=0)
            if got < most and greedy > got + 1:
                yield "a queue got more than its share", f"{queue}: {got}, another one {greedy}"
        yield from self._passed_over(claimer, dealt)
        last = self._last.get(claimer)
        self._last[claimer] = dealt
        if last is None or dealt.only is None or dealt.wanting != last.wanting:
            return
        if dealt.only == last.only:
            yield "a queue went first twice in a row", f"{dealt.only} of {sorted(dealt.wanting)}"

    def _passed_over(self, claimer: Claimer, dealt: Dealt) -> Iterator[tuple[str, str]]:
        """A queue that wants a slot each time gets one before another queue has gone first twice."""
        before = self._waits.get(claimer, Counter[str]())
        waits = Counter({q: before[q] + 1 for q in dealt.wanting if not dealt.claimed.get(q, 0)})
        self._waits[claimer] = waits
        self._queues |= dealt.wanting
        for queue, times in waits.items():
            if times >= len(self._queues):
                yield "a queue was passed over", f"{queue}: {times} times"
