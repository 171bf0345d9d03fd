"""Whether a failed attempt is followed by another, and when."""

import attrs

from trio_workflow.model.outcome import Failed
from trio_workflow.model.policy import RetryPolicy
from trio_workflow.model.times import micros


@attrs.frozen
class Again:
    """Another attempt, this many microseconds from now."""

    delay: int


def backoff(policy: RetryPolicy, retry: int, roll: float = 0.0) -> float:
    """Seconds before the given retry (1 for the first). roll: 0..1, how much of the jitter is taken off."""
    if policy.backoff == "fixed":
        delay = policy.initial_backoff
    elif policy.backoff == "linear":
        delay = policy.initial_backoff * retry
    else:
        delay = _exponential(policy, retry)
    return min(delay, policy.max_backoff) * (1.0 - policy.jitter * roll)


def _exponential(policy: RetryPolicy, retry: int) -> float:
    if not policy.initial_backoff:
        return 0.0  # however great the power
    try:
        return policy.initial_backoff * policy.multiplier ** (retry - 1)
    except OverflowError:
        return policy.max_backoff


def after_failure(policy: RetryPolicy, charged: int, failed: Failed) -> Again | None:
    """What follows an attempt that failed; None: the step has failed.

    charged: the attempts that already ended as failed, retried or timeout since the last fresh budget, this
    one not among them.
    """
    failure = failed.failure
    if not failure.retryable or charged + 1 >= policy.max_attempts:
        return None
    delay = failure.delay if failure.delay is not None else backoff(policy, charged + 1, failed.roll)
    return Again(micros(delay))


def is_abandoned(lost: int, max_lost: int) -> bool:
    """Whether a step that has now lost `lost` leases may not run again."""
    return lost >= max_lost
