"""Whether free slots are dealt to the queues in turns: none gets a second one before each had its first."""

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


class Shares:
    """is_watched: every process hears what it has leased, so that it can let others go first next time."""

    def __init__(self) -> None:
        self.is_watched = True
        self._last: dict[str, Dealt] = {}  # process -> its last claim that leased something

    def starved(self, process: str, dealt: Dealt) -> Iterator[tuple[str, str]]:
        """Told of every claim in turn; answers what it broke."""
        if not self.is_watched or not sum(dealt.claimed.values()):
            return
        for queue, most in dealt.could.items():
            got = dealt.claimed.get(queue, 0)
            greedy = max((share for other, share in dealt.claimed.items() if other != queue), default=0)
            if got < most and greedy > got + 1:
                yield "a queue got more than its share", f"{queue}: {got}, another one {greedy}"
        last = self._last.get(process)
        self._last[process] = dealt
        if last is None or dealt.only is None or dealt.wanting != last.wanting:
            return
        if dealt.only == last.only:
            yield "a queue went first twice in a row", f"{dealt.only} of {sorted(dealt.wanting)}"
