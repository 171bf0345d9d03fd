"""No window of length w yields more than burst + rate * w tokens, whatever the clock does."""

import math

import attrs
from hypothesis import given
from hypothesis import strategies as st

from trio_workflow.model.policy import RateLimit
from trio_workflow.rules.token_bucket import available, interval, level, next_token_at, settled, taken

START = 1_767_225_600_000_000
rates = st.builds(RateLimit, st.sampled_from([0.1, 1 / 3, 1, 2.5, 7, 1000, 1e6]), st.integers(1, 20))
slacks = st.sampled_from([0, 1, 3_000, 30_000_000])
# Time goes on by fractions of an interval, and sometimes the clock jumps, either way.
strides = st.floats(0, 3) | st.floats(-50, 50) | st.sampled_from([-1e6, 1e6, 0.0])
moves = st.lists(st.tuples(strides, st.integers(0, 25)), max_size=40)


@attrs.define
class Bucket:
    """A bucket and its clock. passed: how far the clock has gone forward, jumps back not counted."""

    rate: RateLimit
    slack: int
    now: int = START
    passed: int = 0
    tat: int | None = None

    def move(self, by: int) -> None:
        self.now += by
        self.passed += max(0, by)

    def take(self, wanted: int) -> int:
        tokens = min(wanted, available(self.tat, self.now, self.rate, self.slack))
        anew = settled(self.tat, self.now, self.rate, self.slack)
        if self.tat is not None and anew < self.tat:
            self.tat = anew  # as a claim stores it
        if tokens:
            self.tat = taken(self.tat, self.now, self.rate, self.slack, tokens)
        return tokens


@given(rates, slacks, moves)
def test_no_window_has_more_takes_than_burst_and_rate_allow(
    rate: RateLimit, slack: int, moves: list[tuple[float, int]]
) -> None:
    bucket, takes = Bucket(rate, slack), [(0, 0)]
    for stride, wanted in moves:
        bucket.move(round(stride * interval(rate)))
        takes.append((bucket.passed, bucket.take(wanted)))
    for first, (start, _) in enumerate(takes):
        total = 0
        for end, tokens in takes[first:]:
            total += tokens
            assert total <= rate.burst + rate.rate_per_second * (end - start) / 1e6 + 1e-6


@given(rates, slacks, moves, st.integers(-(10**12), 10**12))
def test_after_any_past_the_bucket_is_full_again_in_the_time_it_takes_to_fill(
    rate: RateLimit, slack: int, moves: list[tuple[float, int]], gap: int
) -> None:
    bucket = Bucket(rate, slack)
    for stride, wanted in moves:
        bucket.move(round(stride * interval(rate)))
        bucket.take(wanted)
    bucket.move(gap)
    bucket.tat = settled(bucket.tat, bucket.now, rate, slack)
    bucket.move(rate.burst * interval(rate) + slack)
    assert available(bucket.tat, bucket.now, rate, slack) == rate.burst


@given(rates, slacks, st.integers(1, 30))
def test_the_next_token_comes_exactly_when_it_is_announced(rate: RateLimit, slack: int, wanted: int) -> None:
    bucket = Bucket(rate, slack)
    bucket.take(wanted)
    bucket.take(rate.burst)  # now it is empty
    at = next_token_at(bucket.tat, bucket.now, rate, slack)
    assert at == bucket.now + interval(rate)
    assert available(bucket.tat, at - 1, rate, slack) == 0
    assert available(bucket.tat, at, rate, slack) == 1


@given(rates, slacks)
def test_an_unused_bucket_is_full(rate: RateLimit, slack: int) -> None:
    assert available(None, START, rate, slack) == rate.burst
    assert level(None, START, rate) == rate.burst
    assert next_token_at(None, START, rate, slack) == START


@given(rates, st.integers(1, 10**15))
def test_a_jump_forward_fills_the_bucket_once(rate: RateLimit, jump: int) -> None:
    bucket = Bucket(rate, 0)
    bucket.take(rate.burst)
    bucket.move(interval(rate) * rate.burst + jump)
    assert bucket.take(1000) == rate.burst
    assert bucket.take(1000) == 0


@given(rates, slacks)
def test_a_small_jump_back_is_waited_out(rate: RateLimit, slack: int) -> None:
    bucket = Bucket(rate, slack)
    bucket.take(rate.burst)
    bucket.move(-slack)
    assert next_token_at(bucket.tat, bucket.now, rate, slack) == START + interval(rate)


@given(rates, slacks)
def test_a_greater_jump_back_starts_the_bucket_again_with_no_token(rate: RateLimit, slack: int) -> None:
    bucket = Bucket(rate, slack)
    bucket.take(rate.burst)
    bucket.move(-slack - 1)
    assert available(bucket.tat, bucket.now, rate, slack) == 0
    assert next_token_at(bucket.tat, bucket.now, rate, slack) == bucket.now + interval(rate)


@given(st.floats(1e-3, 1e6))
def test_an_interval_is_never_shorter_than_the_rate_allows(per_second: float) -> None:
    assert interval(RateLimit(per_second)) * per_second >= 1e6 * (1 - 1e-12)
    assert interval(RateLimit(per_second)) <= math.ceil(1e6 / per_second)


@given(rates, st.integers(0, 20))
def test_the_level_has_the_tokens_that_are_available(rate: RateLimit, wanted: int) -> None:
    bucket = Bucket(rate, 0)
    bucket.take(wanted)
    assert math.floor(level(bucket.tat, START, rate)) == available(bucket.tat, START, rate, 0)
