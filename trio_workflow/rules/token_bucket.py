"""The token bucket of a queue, kept as one integer: the generic cell rate algorithm (ATM Forum, 1996).

`tat` is the theoretical arrival time of GCRA: when the bucket would be full again, in microseconds.
Rule 1: in any window of length w no more than burst + rate * w tokens are taken, whatever the clock does.
Rule 2: a clock that jumps forward fills the bucket at most once; one that goes back by more than `slack`
(a lease) starts the bucket again from now with no token, so that a queue is not held up for the whole jump.
"""

import math

from trio_workflow.model.policy import RateLimit


def interval(rate: RateLimit) -> int:
    """Microseconds between two tokens, rounded up so that the rate is never exceeded."""
    return math.ceil(1_000_000 / rate.rate_per_second)


def settled(tat: int | None, now: int, rate: RateLimit, slack: int) -> int:
    """The tat to reckon with now: full if it was never used, empty if the clock has gone far back."""
    capacity = rate.burst * interval(rate)
    if tat is None or tat <= now:
        return now
    return now + capacity if tat > now + capacity + slack else tat


def available(tat: int | None, now: int, rate: RateLimit, slack: int) -> int:
    """Whole tokens that may be taken now."""
    room = now + rate.burst * interval(rate) - settled(tat, now, rate, slack)
    return max(0, room // interval(rate))


def level(tat: int | None, now: int, rate: RateLimit) -> float:
    """Tokens in the bucket now, with fractions, for people to look at."""
    room = now + rate.burst * interval(rate) - max(now if tat is None else tat, now)
    return max(0.0, room / interval(rate))


def taken(tat: int | None, now: int, rate: RateLimit, slack: int, tokens: int) -> int:
    """The tat after taking that many available tokens."""
    return settled(tat, now, rate, slack) + tokens * interval(rate)


def next_token_at(tat: int | None, now: int, rate: RateLimit, slack: int) -> int:
    """When, in microseconds, the next token may be taken: now or later."""
    return max(now, settled(tat, now, rate, slack) - (rate.burst - 1) * interval(rate))
