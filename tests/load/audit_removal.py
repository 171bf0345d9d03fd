"""Whether every acknowledged run is there unless it was deleted or pruned, and a deleted one is gone."""

from collections.abc import Iterator

from .facts import FOREVER, Facts, History
from .workload import ENDLESS


def what_was_acknowledged_is_there(facts: Facts) -> Iterator[str]:
    if facts.run_ids is None:
        return
    for run, history in facts.histories.items():
        if history.of("started") and run not in facts.run_ids and not may_be_gone(facts, history):
            yield f"{run} was acknowledged as started, and is not in the database; nothing removed it"


def what_was_not_found_was_removed(facts: Facts) -> Iterator[str]:
    """A run that a client knew and did not find any more."""
    for run, history in facts.histories.items():
        for entry in history.of("missing"):
            if not may_be_gone(facts, history, entry["wall"]):
                yield f"{run} was not found by process {entry['pid']}; nothing had removed it"


def what_was_deleted_is_gone(facts: Facts) -> Iterator[str]:
    if facts.run_ids is None:
        return
    for run in facts.run_ids:
        history = facts.histories.get(run)
        if history is not None and _stays_deleted(history):
            yield f"{run} was acknowledged as deleted, and is in the database"


def may_be_gone(facts: Facts, history: History, until: int = FOREVER) -> bool:
    """Whether somebody asked to delete it, or it may have ended early enough to be pruned."""
    deletions = history.asked("deleting", "deleted")
    if any(entry["wall"] <= until for entry, _ in deletions):
        return True
    return earliest_end(history) <= facts.pruned_before(until)


def earliest_end(history: History) -> int:
    """A time of the wall clock before which the run has not ended, as far as the journal knows."""
    ends: list[int] = [entry["finished"] for entry in history.of("ended")]
    if ends:
        return min(ends)
    starts: list[int] = [entry["wall"] for entry in history.of("starting")]
    if starts and not all(order.shape in ENDLESS for order in history.orders):
        return min(starts)
    # An endless run ends by being canceled only.
    cancels: list[int] = [entry["wall"] for entry, _ in history.asked("canceling", "canceled")]
    return min(cancels, default=FOREVER)


def _stays_deleted(history: History) -> bool:
    """Whether a deletion was acknowledged, and no later start may have made the run anew."""
    deleted = [entry["at"] for entry, done in history.asked("deleting", "deleted") if done is not None]
    return bool(deleted) and not any(
        _start_ended(history, entry) > max(deleted) for entry in history.of("starting")
    )


def _start_ended(history: History, starting: dict[str, int]) -> int:
    """When a start was acknowledged, on the journal's clock. One that was not may happen at any time."""
    later = [entry["at"] for entry in history.of("started") if entry["at"] >= starting["at"]]
    return min(later, default=FOREVER)


REMOVAL_CHECKS = (
    what_was_acknowledged_is_there,
    what_was_not_found_was_removed,
    what_was_deleted_is_gone,
)
