"""Whether what is stored of each run agrees with what was observed, and with its input."""

from collections.abc import Iterator

from chaos.audit import Products, difference, products_by_run
from chaos.facts import RunRow
from chaos.workload import digits

from .facts import FOREVER, Facts, History
from .workload import ENDLESS, expected

IMPOSSIBLE = {("failed", "sum"), *((end, shape) for end in ("failed", "succeeded") for shape in ENDLESS)}


def _known(facts: Facts) -> Iterator[tuple[RunRow, History]]:
    if facts.stored is not None:
        for run in facts.stored.runs.values():
            yield run, facts.histories.get(run.id, History(run.id))


def inputs_are_as_they_were_given(facts: Facts) -> Iterator[str]:
    for run, history in _known(facts):
        orders = history.orders
        if orders and facts.orders[run.id] not in orders:
            yield f"{run.id} was started with {orders[-1]}, and has {facts.orders[run.id]}"


def ends_agree(facts: Facts) -> Iterator[str]:
    """What wait and lists returned is what is stored, unless the run was retried or made anew since then."""
    for run, history in _known(facts):
        if _was_made_anew(history):
            continue
        retries = history.asked("retrying", "retried")
        last_retry = max((FOREVER if done is None else done["at"] for _, done in retries), default=-1)
        for entry in history.of("ended"):
            is_same = (entry["status"], entry["finished"]) == (run.status, run.finished)
            if entry["asked"] > last_retry and not is_same:
                seen = f"{entry['status']} at {entry['finished']}"
                yield f"{run.id} is {run.status} at {run.finished}, and was seen as {seen}"
                break


def _was_made_anew(history: History) -> bool:
    """Whether it may have been started a second time after it had been removed."""
    return len(history.of("starting")) > 1 and bool(
        history.of("missing") or history.asked("deleting", "deleted")
    )


def cancels_are_stored(facts: Facts) -> Iterator[str]:
    for run, history in _known(facts):
        if history.asked("retrying", "retried") or _was_made_anew(history):
            continue
        for _, done in history.asked("canceling", "canceled"):
            was_first = run.finished is not None and done is not None and run.finished <= done["wall"]
            if done is not None and run.status != "canceled" and not was_first:
                yield f"{run.id} is {run.status}, and cancel_run had returned before it ended"


def retries_are_stored(facts: Facts) -> Iterator[str]:
    """A run that was retried has not ended since then, or later: as stored, and as seen after the retry."""
    for run, history in _known(facts):
        if _was_made_anew(history):
            continue
        for asked, done in history.asked("retrying", "retried"):
            if done is None:
                continue
            seen = [entry["finished"] for entry in history.of("ended") if entry["asked"] > done["at"]]
            ends = [end for end in (run.finished, *seen) if end is not None]
            if min(ends, default=FOREVER) < asked["wall"]:
                yield f"{run.id} was retried at {asked['wall']}, and ended at {min(ends)}"


def ends_have_a_reason(facts: Facts) -> Iterator[str]:
    """An endless run cannot end by itself, only trouble fails, and nobody else cancels."""
    for run, history in _known(facts):
        shape = facts.orders[run.id].shape
        if run.status == "canceled" and not history.asked("canceling", "canceled"):
            yield f"{run.id} is canceled, and nobody asked for that"
        elif (run.status, shape) in IMPOSSIBLE:
            yield f"{run.id}, of shape {shape}, has {run.status}"


def products_are_right(facts: Facts) -> Iterator[str]:
    """Steps, sums, records and artifacts follow from the input.

    A run that has not succeeded may have any part of them.
    """
    if facts.stored is None:
        return
    found = products_by_run(facts.stored)
    for run in facts.stored.runs.values():
        order = facts.orders[run.id]
        if order.shape in ENDLESS:
            continue
        for what, (have, want) in found.get(run.id, Products()).against(expected(order)).items():
            if run.status == "succeeded" and have != want:
                yield f"{run.id} has {what} {difference(have, want)}"
            elif run.status != "succeeded" and what != "steps" and not set(have) <= set(want):
                yield f"{run.id}, which is {run.status}, has {what} {difference(have, have & want)}"


def projections_have_their_rows(facts: Facts) -> Iterator[str]:
    """A step commits its row before it succeeds."""
    for run, _ in _known(facts):
        wanted = digits(facts.orders[run.id].number, "tally")
        found = facts.tallies.get(f"{run.id}/tally")
        if run.status == "succeeded" and found != wanted:
            yield f"{run.id} has succeeded, and its projection has {found} instead of {wanted}"


RUN_CHECKS = (
    inputs_are_as_they_were_given,
    ends_agree,
    cancels_are_stored,
    retries_are_stored,
    ends_have_a_reason,
    products_are_right,
    projections_have_their_rows,
)
