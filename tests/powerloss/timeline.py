"""Whether what a state holds is a prefix of what was committed.

Rule: a state is the store as it was at one time of the recording. Each fact that is observed allows some
times, and there must be a time that all facts allow. With synchronous=FULL it is the moment of the loss of
power itself; with synchronous=NORMAL it may be any earlier one.
"""

from collections.abc import Iterable

import attrs

from .acknowledged import FOREVER, Operation, RunHistory

Interval = tuple[float, float]
"""From the first time up to the last, both included."""


@attrs.frozen
class Observation:
    """fact: a sentence. allowed: the times at which it may be so."""

    fact: str
    allowed: tuple[Interval, ...]

    def allows(self, interval: Interval) -> list[Interval]:
        """The parts of an interval that are allowed."""
        parts = [(max(a, interval[0]), min(b, interval[1])) for a, b in self.allowed]
        return [part for part in parts if part[0] <= part[1]]


def since(operation: Operation) -> Interval:
    """When it may have been committed."""
    return operation.begin, FOREVER


def until(operation: Operation) -> Interval:
    """When it may not have been committed yet."""
    return 0, operation.done


def observe(run_id: str, history: RunHistory, status: str | None, *, has_ended: bool) -> list[Observation]:
    """status: of the run in the state; None: it is not there."""
    if status is None:
        times = [until(history.start)]
        if history.delete.begin < FOREVER:
            times.append(since(history.delete))
        return [Observation(f"run {run_id} is not there", tuple(times))]
    start, end, delete = history.start, history.end, history.delete
    is_there = Observation(f"run {run_id} is there", ((start.begin, delete.done),))
    if has_ended:
        return [is_there, Observation(f"run {run_id} is {status}", (since(end),))]
    return [is_there, Observation(f"run {run_id} is {status}", (until(end),))]


def contradiction(observations: Iterable[Observation], moment: float, *, is_full: bool) -> str | None:
    """A sentence if no time up to the moment allows all of it; with is_full, if the moment does not."""
    possible: list[Interval] = [(moment, moment) if is_full else (0, moment)]
    seen: list[Observation] = []
    for observation in observations:
        left = [part for interval in possible for part in observation.allows(interval)]
        if not left:
            return _sentence(observation, seen, possible, is_full=is_full)
        possible = left
        seen.append(observation)
    return None


def _sentence(
    observation: Observation, seen: list[Observation], possible: list[Interval], *, is_full: bool
) -> str:
    if is_full:
        return f"{observation.fact}, against what was acknowledged (it may be so at {observation.allowed})"
    others = [
        other.fact for other in seen if not any(other.allows(interval) for interval in observation.allowed)
    ]
    reason = ", ".join(others) or f"everything else (possible: {possible})"
    return f"no prefix of what was acknowledged: {observation.fact}, and {reason}"
