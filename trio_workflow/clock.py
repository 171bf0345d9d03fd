"""The one clock: wall time in production, virtual time under trio's MockClock. Times are microseconds."""

import time
import weakref
from typing import Protocol

import trio

from trio_workflow.offload import runs_in_virtual_time

VIRTUAL_EPOCH = 1_767_225_600_000_000
"""2026-01-01T00:00Z: where virtual time begins, unless the store holds a later time."""


class Clock(Protocol):
    """What the engine knows of time. now() and monotonic() may be called from any thread."""

    def now(self) -> int:
        """Microseconds since 1970."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment, by a clock that nobody sets."""
        ...

    def not_before(self, at: int) -> None:
        """Virtual time shall not be earlier than this; wall time is what it is."""
        ...


class WallClock:
    def now(self) -> int:
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        return time.monotonic()

    def not_before(self, at: int) -> None:
        """Nothing: a wall clock that stands behind the store is the operator's to set right."""


class VirtualClock:
    """The MockClock's time from a fixed epoch: the same program sees the same dates in every run.

    One for all runtimes of a trio run: two that share a store agree on when a lease runs out.
    """

    def __init__(self, clock: trio.abc.Clock) -> None:
        self._time = weakref.WeakMethod(clock.current_time)  # the clock is the key this object is found by
        self._epoch = VIRTUAL_EPOCH

    def now(self) -> int:
        return self._epoch + round(self.monotonic() * 1_000_000)

    def monotonic(self) -> float:
        time = self._time()
        assert time is not None  # somebody runs under it
        return time()

    def not_before(self, at: int) -> None:
        self._epoch += max(0, at - self.now())


_virtual: weakref.WeakKeyDictionary[trio.abc.Clock, Clock] = weakref.WeakKeyDictionary()


def use_clock(trio_clock: trio.abc.Clock, clock: Clock) -> None:
    """For simulations: runtimes in a trio run under that MockClock take the time from `clock`."""
    _virtual[trio_clock] = clock


def current_clock() -> Clock:
    """The clock that goes with the trio run this is called in."""
    if not runs_in_virtual_time():
        return WallClock()
    clock = trio.lowlevel.current_clock()
    return _virtual.setdefault(clock, VirtualClock(clock))
