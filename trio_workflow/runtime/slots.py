"""Free slots of this process: a CapacityLimiter per queue, and a count over all of them.

They bound physical concurrency: a slot is taken before a step is claimed and freed when user code has
returned, also when the lease was lost long before. The store's limits bound leases. Nobody waits here for a
slot: who wants one comes again when one was freed.
"""

from collections.abc import Mapping

import trio


class Slots:
    def __init__(self, max_workers: int) -> None:
        self._max_workers, self._taken = max_workers, 0
        self._queues: dict[str, trio.CapacityLimiter] = {}

    def set_limits(self, limits: Mapping[str, int]) -> None:
        """The queues' limits as the store has them now."""
        for queue, limit in limits.items():
            if queue not in self._queues:
                self._queues[queue] = trio.CapacityLimiter(limit)
            elif self._queues[queue].total_tokens != limit:
                self._queues[queue].total_tokens = limit

    @property
    def free(self) -> int:
        """Slots over all queues."""
        return self._max_workers - self._taken

    def free_by_queue(self) -> dict[str, int]:
        return {queue: max(0, int(limiter.available_tokens)) for queue, limiter in self._queues.items()}

    def take_if_free(self, queue: str, borrower: object) -> bool:
        """Take a slot on behalf of a claim; False if the queue's limit was lowered while it was made."""
        if self._taken >= self._max_workers:
            return False
        try:
            self._queues[queue].acquire_on_behalf_of_nowait(borrower)
        except trio.WouldBlock:
            return False
        self._taken += 1
        return True

    def give_back(self, queue: str, borrower: object) -> None:
        """Raises RuntimeError for one that has no slot: a slot that is freed twice would be taken by two."""
        self._queues[queue].release_on_behalf_of(borrower)
        self._taken -= 1

    def borrowed_by_queue(self) -> dict[str, int]:
        return {queue: limiter.borrowed_tokens for queue, limiter in self._queues.items()}
