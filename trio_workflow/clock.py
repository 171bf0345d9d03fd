"""The one clock: wall time in production, virtual time under trio's MockClock. Times are microseconds."""

import time
from typing import Protocol

import trio

from trio_workflow.offload import runs_in_virtual_time

VIRTUAL_EPOCH = 1_767_225_600_000_000
"""2026-01-01T00:00Z: where virtual time begins, unless the store holds a later time."""


class Clock(Protocol):
    """What the engine knows of time. now() may be called from any thread."""

    def now(self) -> int:
        """Microseconds since 1970."""
        ...

    def not_before(self, at: int) -> None:
        """Virtual time shall not be earlier than this; wall time is what it is."""
        ...


class WallClock:
    def now(self) -> int:
        return time.time_ns() // 1000

    def not_before(self, at: int) -> None:
        """Nothing: a wall clock that stands behind the store is the operator's to set right."""


class VirtualClock:
    """The MockClock's time from a fixed epoch: the same program sees the same dates in every run."""

    def __init__(self, clock: trio.abc.Clock) -> None:
        self._clock = clock
        self._start = clock.current_time()
        self._epoch = VIRTUAL_EPOCH

    def now(self) -> int:
        return self._epoch + round((self._clock.current_time() - self._start) * 1_000_000)

    def not_before(self, at: int) -> None:
        self._epoch += max(0, at - self.now())


def current_clock() -> Clock:
    """The clock that goes with the trio run this is called in."""
    return VirtualClock(trio.lowlevel.current_clock()) if runs_in_virtual_time() else WallClock()
