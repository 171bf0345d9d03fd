"""Queue limits and rate limits, from the lease intervals in the table of attempts."""

from collections.abc import Iterator

from .facts import AttemptRow, Facts
from .workload import QUEUES


def limits_are_held(facts: Facts) -> Iterator[str]:
    for queue, attempts in _by_queue(facts).items():
        limit = QUEUES[queue].max_workers
        most, at = most_at_once(attempts)
        if most > limit:
            yield f"queue {queue} had {most} leases at {at}, and its limit is {limit}"


def most_at_once(attempts: list[AttemptRow]) -> tuple[int, int]:
    """The most leases at one moment, and which; one that ends at a moment makes room for one that begins."""
    moves = sorted(
        move
        for attempt in attempts
        for move in ((attempt.started, 1), (attempt.finished or 2**62, -1))
        if attempt.finished is None or attempt.finished > attempt.started
    )
    running, most = 0, (0, 0)
    for at, move in moves:
        running += move
        most = max(most, (running, at), key=lambda found: found[0])
    return most


def rates_are_held(facts: Facts) -> Iterator[str]:
    """No window of any length w has more than burst + rate * w claims.

    With f(k) = k - rate * t(k) for the k-th claim, that is f(last) - f(first) + 1 <= burst for every pair,
    so that the least f so far is all that must be kept.
    """
    for queue, attempts in _by_queue(facts).items():
        limit = QUEUES[queue].rate_limit
        if limit is None:
            continue
        least, least_at = float("inf"), 0
        starts = sorted(attempt.started for attempt in attempts)
        for place, started in enumerate(starts):
            level = place - limit.rate_per_second * (started - starts[0]) / 1_000_000
            if level < least:
                least, least_at = level, place
            if level - least + 1 > limit.burst + 1e-6:
                count, seconds = place - least_at + 1, (started - starts[least_at]) / 1_000_000
                yield f"queue {queue} had {count} claims within {seconds} s"
                break


def _by_queue(facts: Facts) -> dict[str, list[AttemptRow]]:
    found: dict[str, list[AttemptRow]] = {}
    for attempts in facts.attempts.values():
        for attempt in attempts:
            found.setdefault(attempt.queue, []).append(attempt)
    return found
