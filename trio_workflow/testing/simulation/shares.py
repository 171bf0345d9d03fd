"""Whether free slots are dealt to the queues in turns: none gets a second one before each had its first."""

from collections import Counter
from collections.abc import Iterator, Mapping

PASSED_OVER = 4
"""Claims in a row, of one process, that may give something to others and nothing to a queue that could."""


class Shares:
    def __init__(self) -> None:
        self._passed: Counter[tuple[str, str]] = Counter()  # process, queue -> claims in a row

    def starved(
        self, process: str, could: Mapping[str, int], claimed: Mapping[str, int]
    ) -> Iterator[tuple[str, str]]:
        """could: how many of each queue the claim might have leased, if it had been the only one."""
        for queue, most in could.items():
            got = claimed.get(queue, 0)
            greedy = max((share for other, share in claimed.items() if other != queue), default=0)
            if got < most and greedy > got + 1:
                yield "a queue got more than its share", f"{queue}: {got}, another one {greedy}"
            place = process, queue
            self._passed[place] = self._passed[place] + 1 if not got and most and claimed else 0
            if self._passed[place] > PASSED_OVER:
                yield "a queue is passed over again and again", f"{queue} by {process}"
