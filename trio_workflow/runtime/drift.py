"""Whether wall time and monotonic time go apart: then expiries in the store cannot be trusted for a while."""

import trio

from trio_workflow.clock import Clock


class Drift:
    """Expiries are written in wall time. If that jumps, a lease may seem to have run out that has not."""

    def __init__(self, clock: Clock, lease: float) -> None:
        self._clock, self._lease = clock, lease
        self._wall, self._monotonic = clock.now(), trio.current_time()
        self._distrust_until = -float("inf")

    def may_expire(self) -> bool:
        """False for one lease after a jump of more than a third of a lease was noticed."""
        wall, monotonic = self._clock.now(), trio.current_time()
        apart = (wall - self._wall) / 1_000_000 - (monotonic - self._monotonic)
        if abs(apart) > self._lease / 3:
            self._distrust_until = monotonic + self._lease
        self._wall, self._monotonic = wall, monotonic
        return monotonic >= self._distrust_until
