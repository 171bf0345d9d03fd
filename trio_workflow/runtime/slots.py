"""Free slots of this process: those of each queue, and a count over all of them.

They bound physical concurrency: a slot is taken before a step is claimed and freed when user code has
returned, also when the lease was lost long before. The store's limits bound leases. Nobody waits here for a
slot: who wants one comes again when one was freed.
"""

from collections.abc import Mapping

import attrs


@attrs.define
class QueueSlots:
    """limit: as the store had it last; it may have been lowered below what is taken."""

    limit: int
    borrowers: set[object] = attrs.field(factory=set[object])

    @property
    def free(self) -> int:
        return max(0, self.limit - len(self.borrowers))


class Slots:
    def __init__(self, max_workers: int) -> None:
        self._max_workers, self._taken = max_workers, 0
        self._queues: dict[str, QueueSlots] = {}

    def set_limits(self, limits: Mapping[str, int]) -> None:
        """The queues' limits as the store has them now."""
        for queue, limit in limits.items():
            if queue in self._queues:
                self._queues[queue].limit = limit
            else:
                self._queues[queue] = QueueSlots(limit)

    @property
    def free(self) -> int:
        """Slots over all queues."""
        return self._max_workers - self._taken

    def free_by_queue(self) -> dict[str, int]:
        return {queue: slots.free for queue, slots in self._queues.items()}

    def take_if_free(self, queue: str, borrower: object) -> bool:
        """Take a slot on behalf of a claim; False if the queue's limit was lowered while it was made."""
        slots = self._queues[queue]
        if self._taken >= self._max_workers or len(slots.borrowers) >= slots.limit:
            return False
        slots.borrowers.add(borrower)
        self._taken += 1
        return True

    def give_back(self, queue: str, borrower: object) -> None:
        """Raises KeyError for one that has no slot: a slot that is freed twice would be taken by two."""
        self._queues[queue].borrowers.remove(borrower)
        self._taken -= 1

    def borrowed_by_queue(self) -> dict[str, int]:
        return {queue: len(slots.borrowers) for queue, slots in self._queues.items()}
