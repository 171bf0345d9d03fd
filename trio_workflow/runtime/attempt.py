"""One attempt: user code in its cancel scopes, and the one outcome it ends as.

Scopes, from the outside: the lease (Holding.scope, shielded), the step's timeout, user code. Whatever user
code does, swallow Cancelled, raise anything, leave scopes open, run_attempt answers an outcome and raises
nothing. Only KeyboardInterrupt and SystemExit are nobody's outcome: they are answered beside it.
"""

import math
from contextlib import nullcontext

import attrs
import trio

from trio_workflow.authoring.step_context import StepContext
from trio_workflow.model.outcome import Failed, LeaseLost, Outcome, Released
from trio_workflow.points import POINTS, Point
from trio_workflow.runtime.failures import failure_of, is_a, leaves_of, timeout_failure
from trio_workflow.runtime.holding import Holding, Reason
from trio_workflow.runtime.registry import Registry
from trio_workflow.runtime.user_code import call
from trio_workflow.source import SOURCE

UNLIMITED = nullcontext()
"""Stands in for a timeout's scope: it keeps no state, so that one does for all."""


@attrs.frozen
class Ended:
    """outcome: None if there is nothing to store, since the lease is gone. interrupt: for the program."""

    outcome: Outcome | None
    interrupt: BaseException | None = None


async def run_attempt(holding: Holding, context: StepContext, registry: Registry, max_lost: int) -> Ended:
    """Run the executor of a claimed step."""
    timeout = holding.claim.timeout
    deadline = math.inf if timeout is None else trio.current_time() + timeout
    limit = UNLIMITED if timeout is None else trio.CancelScope(deadline=deadline)
    raised: BaseException | None = None
    has_run_out = False
    try:
        with holding.scope, limit:
            try:
                await trio.lowlevel.checkpoint_if_cancelled()  # cancelled before: user code never runs
                POINTS.reach(Point.START, holding)
                await call(registry.executor(context.kind), context)
            finally:
                has_run_out = holding.has_struck()
    except BaseException as error:  # also a Cancelled that user code carried here from elsewhere
        raised = error
    # By the clock, not by the scope: one that blocks past its deadline is never told of it.
    timed_out = timeout is not None and trio.current_time() >= deadline
    holding.is_done = True
    context.close()
    interrupt = None if raised is None else _interrupt_in(raised)
    if interrupt is not None:
        return Ended(Released(), interrupt)
    if holding.reason is not None:
        return Ended(_outcome_of(holding.reason, max_lost))
    if holding.scope.cancelled_caught or has_run_out:
        return Ended(LeaseLost(max_lost))
    if timeout is not None and timed_out:
        return Ended(Failed(timeout_failure(timeout), timed_out=True, roll=SOURCE.roll()))
    if raised is not None:
        return Ended(Failed(failure_of(raised), roll=SOURCE.roll()))
    return Ended(context.product())


def _outcome_of(reason: Reason, max_lost: int) -> Outcome | None:
    if reason is Reason.STOPPED:
        return Released()
    return LeaseLost(max_lost) if reason is Reason.EXPIRED else None


def _interrupt_in(error: BaseException) -> BaseException | None:
    return next((leaf for leaf in leaves_of(error) if is_a(leaf, KeyboardInterrupt, SystemExit)), None)
