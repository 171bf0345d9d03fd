"""Whether wall time and monotonic time go apart: then expiries in the store cannot be trusted for a while."""

from trio_workflow.clock import Clock


class Drift:
    """Expiries are written in wall time. If that jumps, a lease may seem to have run out that has not.

    Asked by one thread at a time, in the transaction that would take leases back: a claim may wait long for
    the write lock, and the clock may jump meanwhile.
    """

    def __init__(self, clock: Clock, lease: float) -> None:
        self._clock, self._lease = clock, lease
        self._wall, self._monotonic = clock.now(), clock.monotonic()
        self._distrust_until = -float("inf")

    def may_expire(self, now: int) -> bool:
        """False for one lease after a jump of more than a third of one. now: wall time in microseconds."""
        monotonic = self._clock.monotonic()
        apart = (now - self._wall) / 1_000_000 - (monotonic - self._monotonic)
        if abs(apart) > self._lease / 3:
            self._distrust_until = monotonic + self._lease
        self._wall, self._monotonic = now, monotonic
        return monotonic >= self._distrust_until
