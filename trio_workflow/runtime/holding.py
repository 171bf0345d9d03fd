"""A lease in hand: the cancel scope it is tied to, and why the engine has cancelled it, if it has.

Rule 1: the scope's deadline is the last confirmed expiry, on trio's clock, counted from when the renewal was
sent; so user code is cancelled in time even when nothing else of ours gets to run.
Rule 2: how an attempt ended is decided by `reason`, noted before the cancel, never by the exception that came
out of user code: an executor that swallows Cancelled and returns has not succeeded.
"""

from enum import Enum, auto

import trio

from trio_workflow.authoring.step_context import StepContext
from trio_workflow.model.changes import Claim

MARGIN = 0.001
"""Seconds by which the engine's own cancel comes before the deadline, so that its reason is noted first."""


class Reason(Enum):
    """Why the engine cancelled an executor."""

    REVOKED = auto()  # the store says that the lease is gone: the run was canceled, or another has the step
    EXPIRED = auto()  # the lease ran out by this worker's clock and could not be renewed
    STOPPED = auto()  # the workers are being stopped
    CRASHED = auto()  # the engine cannot go on


class Holding:
    """One claimed step, from the claim until its outcome is stored."""

    def __init__(self, claim: Claim, expires: float) -> None:
        self.claim = claim
        self.reason: Reason | None = None
        self.context: StepContext | None = None  # while user code runs
        self.is_done = False  # user code has returned
        self.expires = expires  # last confirmed, on trio's clock: the scope's deadline
        # Shielded: whoever cancels the workers' block leaves the executor to the engine, which gives it its
        # grace and then cancels it here.
        self.scope = trio.CancelScope(deadline=expires, shield=True)

    def __repr__(self) -> str:
        return f"<Holding {self.claim.run_id}/{self.claim.step_id} reason={self.reason}>"

    @property
    def token(self) -> str:
        return self.claim.token

    @property
    def is_kept(self) -> bool:
        """Whether the lease is to be renewed: also while a stopped executor still cleans up."""
        return self.reason is None or self.reason is Reason.STOPPED

    def extend(self, expires: float) -> bool:
        """The lease was confirmed until then. False if its executor has been cancelled for it meanwhile."""
        if self.reason is None and self.context is not None and self.has_struck():
            return False
        if self.is_kept and not self.is_done:
            self.expires = self.scope.deadline = max(self.expires, expires)
        return True

    def has_struck(self) -> bool:
        """Whether trio has cancelled the scope at its deadline. Asked of one that was entered and not left.

        A deadline that has only passed, while code blocked the event loop, has interrupted nothing: trio
        cancels between the steps of tasks, and takes a deadline off its list as it does.
        """
        now = trio.current_time()
        if now < self.expires:
            return False
        return now + trio.lowlevel.current_statistics().seconds_to_next_deadline > self.expires + 1e-6

    def take_progress(self) -> str | None:
        """What user code has told of its progress since this was last asked."""
        return None if self.context is None else self.context.take_progress()

    def put_back_progress(self, told: str | None) -> None:
        """It was taken and could not be stored."""
        if self.context is not None and told is not None:
            self.context.put_back_progress(told)

    def cancel(self, reason: Reason) -> None:
        if self.reason is None and not self.is_done:
            self.reason = reason
            self.scope.cancel(reason=f"trio_workflow: {reason.name.lower()}")
