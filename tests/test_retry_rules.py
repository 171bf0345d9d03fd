"""Whether a failed attempt is followed by another, and when."""

import math

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_workflow.model.outcome import Failed, Failure
from trio_workflow.model.policy import RetryPolicy
from trio_workflow.model.times import LAST
from trio_workflow.rules.retry import Again, after_failure, backoff, is_abandoned

seconds = st.floats(0, 1e9)
policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 50),
    backoff=st.sampled_from(["fixed", "linear", "exponential"]),
    initial_backoff=seconds | st.integers(0, 10**9),
    max_backoff=seconds | st.integers(0, 10**9),
    multiplier=st.floats(1, 1e9) | st.integers(1, 10**9),
    jitter=st.floats(0, 1),
)
retries = st.integers(1, 60) | st.sampled_from([1000, 5000])
rolls = st.floats(0, 1)


def failed(delay: float | None = None, retryable: bool = True, roll: float = 0.0) -> Failed:
    return Failed(Failure(code="c", message="m", retryable=retryable, delay=delay), roll=roll)


@given(policies, retries, rolls)
def test_a_backoff_lies_between_nothing_and_the_longest(policy: RetryPolicy, retry: int, roll: float) -> None:
    delay = backoff(policy, retry, roll)
    assert math.isfinite(delay)
    assert 0 <= delay <= policy.max_backoff


@given(policies, retries, rolls)
def test_jitter_takes_off_at_most_its_fraction(policy: RetryPolicy, retry: int, roll: float) -> None:
    whole = backoff(policy, retry)
    assert whole * (1 - policy.jitter) * (1 - 1e-9) <= backoff(policy, retry, roll) <= whole


@given(policies, retries)
def test_a_later_retry_never_waits_less(policy: RetryPolicy, retry: int) -> None:
    assert backoff(policy, retry) <= backoff(policy, retry + 1)


@given(policies, retries)
def test_without_a_first_delay_there_is_none_later(policy: RetryPolicy, retry: int) -> None:
    for nothing in (0, 0.0):
        assert backoff(attrs.evolve(policy, initial_backoff=nothing), retry) == 0


@pytest.mark.parametrize(
    ("kind", "delays"),
    [("fixed", [2, 2, 2, 2, 2]), ("linear", [2, 4, 6, 8, 10]), ("exponential", [2, 6, 18, 20, 20])],
)
def test_the_three_backoffs_grow_as_they_say(kind: str, delays: list[float]) -> None:
    policy = RetryPolicy(backoff=kind, initial_backoff=2.0, multiplier=3.0, max_backoff=20.0)  # type: ignore[arg-type]  # parametrised as str
    assert [backoff(policy, retry) for retry in range(1, 6)] == delays


@given(policies, st.integers(0, 60), rolls)
def test_an_attempt_follows_only_a_retryable_failure_with_budget_left(
    policy: RetryPolicy, charged: int, roll: float
) -> None:
    assert after_failure(policy, charged, failed(retryable=False)) is None
    again = after_failure(policy, charged, failed(roll=roll))
    assert (again is not None) == (charged + 1 < policy.max_attempts)


def test_max_attempts_counts_the_first_one() -> None:
    policy = RetryPolicy(max_attempts=3)
    assert [after_failure(policy, charged, failed()) is None for charged in range(4)] == [
        False,
        False,
        True,
        True,
    ]


@given(st.floats(0, allow_nan=False, allow_infinity=False))
def test_a_delay_that_the_failure_names_overrides_the_backoff(delay: float) -> None:
    again = after_failure(RetryPolicy(), 0, failed(delay))
    assert again == Again(min(round(min(delay, 1e12) * 1_000_000), LAST))


def test_a_backoff_is_in_microseconds() -> None:
    assert after_failure(RetryPolicy(initial_backoff=1.5), 0, failed()) == Again(1_500_000)


def test_a_step_is_abandoned_when_it_has_lost_as_many_leases_as_it_may() -> None:
    assert [is_abandoned(lost, 3) for lost in (1, 2, 3, 4)] == [False, False, True, True]
