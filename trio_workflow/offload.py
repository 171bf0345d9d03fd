"""The one funnel through which blocking calls go, so that virtual time stands still while one runs.

MockClock's autojump does not see worker threads: a deadline a minute away passes while a database call of
some milliseconds runs in one. Under a MockClock a call therefore runs inline, on the event loop.

Rule: a call either never starts (the caller was cancelled before) or is waited for to its end, and its
answer is delivered. A caller may rely on that to know what there is to clean up.
"""

import sys
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import trio

from trio_workflow.points import POINTS, Point

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def runs_in_virtual_time() -> bool:
    """Whether the current trio run has a MockClock. Outside trio: RuntimeError, as from trio itself."""
    clock = trio.lowlevel.current_clock()
    # trio.testing takes a tenth of a second to import; while nobody has imported it, nobody has a MockClock.
    if "trio.testing" not in sys.modules:
        return False
    from trio.testing import MockClock

    return isinstance(clock, MockClock)


class Offload:
    """Runs blocking functions: in a worker thread, or inline under a MockClock.

    limiter: bounds how many of its threads work at once; without one, trio's default limiter does. What user
    code in threads waits for needs a limiter of its own, or threads that hold all tokens wait for ever.
    """

    def __init__(self, limiter: trio.CapacityLimiter | None = None) -> None:
        self._limiter = limiter

    def __repr__(self) -> str:
        return f"Offload(limiter={self._limiter!r})"

    # An interrupt would stop an inline call halfway, as no thread ever is; it is delivered after the call.
    @trio.lowlevel.enable_ki_protection
    async def run(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """Answer ``fn(*args)``, or raise what it raises. A checkpoint. Cancelled: fn was not called."""
        if not runs_in_virtual_time():
            return await trio.to_thread.run_sync(fn, *args, limiter=self._limiter)
        await trio.lowlevel.checkpoint_if_cancelled()
        await POINTS.wait(Point.CALL, fn)
        answer = fn(*args)
        await POINTS.wait(Point.ANSWER, fn)
        await trio.lowlevel.cancel_shielded_checkpoint()
        return answer
