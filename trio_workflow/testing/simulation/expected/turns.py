"""The turns that runs take in a queue: a step that falls due gets the next number of its run."""

from collections import Counter

Place = tuple[str, str]  # run, queue


class Turns:
    """Of steps with one priority and kind: those of one run are alike, so that only numbers are kept."""

    def __init__(self) -> None:
        self._queues: Counter[str] = Counter()  # the highest number that has started
        self._last: Counter[Place] = Counter()  # the highest number given
        self.waiting: dict[Place, list[int]] = {}

    def place(self, run: str, queue: str) -> None:
        """A step of that run falls due in that queue."""
        place = run, queue
        self._last[place] = max(self._queues[queue], self._last[place]) + 1
        self.waiting.setdefault(place, []).append(self._last[place])

    def start(self, queue: str, runs: Counter[str]) -> bool:
        """So many steps of each run start; answers whether each had the lowest number that waited."""
        started = [self.waiting[run, queue].pop(0) for run, count in runs.items() for _ in range(count)]
        left = [turn for (_, other), turns in self.waiting.items() if other == queue for turn in turns]
        self._queues[queue] = max(self._queues[queue], *started)
        return not left or max(started) <= min(left)

    def forget(self, run: str) -> None:
        """The run is gone, and another one may get its id."""
        self.leave(run)
        for place in list(self._last):
            if place[0] == run:
                del self._last[place]

    def leave(self, run: str) -> None:
        """The run is canceled: none of it waits any more."""
        for place in list(self.waiting):
            if place[0] == run:
                del self.waiting[place]
