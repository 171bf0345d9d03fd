"""The one funnel through which blocking calls go, so that virtual time stands still while one runs.

MockClock's autojump does not see worker threads: a deadline a minute away passes while a database call of
some milliseconds runs in one. Under a MockClock a call therefore runs inline, on the event loop.

Rule: a call either never starts (the caller was cancelled before) or is waited for to its end, and its
answer is delivered. A caller may rely on that to know what there is to clean up.
"""

import os
import sys
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

import trio

from trio_workflow.errors import StoreUnavailableError
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


class NoThreadError(StoreUnavailableError):
    """No thread could be started, and nothing was done."""


class Offload:
    """Runs blocking functions: in a worker thread, or inline under a MockClock.

    limiter: bounds how many of its threads work at once; without one, trio's default limiter does. What user
    code in threads waits for needs a limiter of its own, or threads that hold all tokens wait for ever.
    """

    def __init__(self, limiter: trio.CapacityLimiter | None = None) -> None:
        self._limiter = limiter
        self._pid = os.getpid()

    def __repr__(self) -> str:
        return f"Offload(limiter={self._limiter!r})"

    # An interrupt would stop an inline call halfway, as no thread ever is; it is delivered after the call.
    @trio.lowlevel.enable_ki_protection
    async def run(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """Answer ``fn(*args)``, or raise what it raises. A checkpoint. Cancelled: fn was not called.

        Raises NoThreadError if no thread could be started: fn was not called either.
        """
        if not runs_in_virtual_time():
            return await _run_in_thread(fn, args, self._limiter)
        await trio.lowlevel.checkpoint_if_cancelled()
        await POINTS.wait(Point.CALL, fn)
        answer = fn(*args)
        await POINTS.wait(Point.ANSWER, fn)
        await trio.lowlevel.cancel_shielded_checkpoint()
        return answer

    async def run_cleanup(self, fn: Callable[[], None]) -> None:
        """Call fn whatever happens: shielded, and on the event loop if no thread can be started.

        Also in a forked child, whose event loop may hear of no thread: it shares its parent's sockets.
        """
        if os.getpid() != self._pid:
            fn()
            return
        with trio.CancelScope(shield=True):
            try:
                await self.run(fn)
            except NoThreadError:
                fn()


async def _run_in_thread(fn: Callable[[*Ts], T], args: tuple[*Ts], limiter: trio.CapacityLimiter | None) -> T:
    has_begun = False

    def call() -> T:
        nonlocal has_begun
        has_begun = True
        return fn(*args)

    try:
        return await trio.to_thread.run_sync(call, limiter=limiter)
    except RuntimeError as error:
        if has_begun:
            raise
        raise NoThreadError(f"no thread could be started for a call to the store: {error}") from error
