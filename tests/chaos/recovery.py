"""How long steps waited after their worker was killed or stopped."""

import attrs

from .facts import Facts


@attrs.frozen
class Delays:
    """Seconds from the fault, for every lease that was lost by it."""

    taken_back: list[float]
    claimed_again: list[float]


def delays(facts: Facts, what: str) -> Delays:
    """what: "kill" or "pause". A step of a run that was canceled meanwhile is not claimed again."""
    found = Delays([], [])
    hits = {entry["pid"]: entry["wall"] for entry in reversed(facts.noted(what))}  # the first of each
    for attempts in facts.attempts.values():
        for attempt in attempts:
            hit = hits.get(int(attempt.worker.rpartition("-")[2]))
            if hit is None or attempt.outcome != "lease_lost" or attempt.finished is None:
                continue
            if not attempt.started <= hit <= attempt.finished:
                continue
            found.taken_back.append((attempt.finished - hit) / 1_000_000)
            if attempt.number < len(attempts):
                found.claimed_again.append((attempts[attempt.number].started - hit) / 1_000_000)
    return found


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
