"""What the marks of a recording say: when each operation can have been committed and was acknowledged.

Times are positions in the trace. An operation was committed at some time from its begin to its done; one that
was never acknowledged, at any time after its begin or never.
"""

import math
from collections.abc import Iterable

import attrs

from .events import Mark

FOREVER = math.inf


@attrs.frozen
class Operation:
    """done: FOREVER if it was not acknowledged before the trace ended."""

    begin: float
    done: float = FOREVER


NEVER = Operation(FOREVER)


@attrs.frozen
class RunHistory:
    start: Operation = NEVER
    note: Operation = NEVER
    end: Operation = NEVER
    delete: Operation = NEVER


@attrs.frozen
class Acknowledged:
    """open: the first opening of the store."""

    open: Operation
    runs: dict[str, RunHistory]


def acknowledged(marks: Iterable[Mark]) -> Acknowledged:
    begins: dict[tuple[str, str], int] = {}
    dones: dict[tuple[str, str], int] = {}
    for mark in marks:
        times = begins if mark.line["mark"] == "begin" else dones
        operation = mark.line["operation"]
        for run in mark.line["runs"] or ([""] if operation == "open" else []):
            times.setdefault((operation, run), mark.begin)
    operations = {key: Operation(begin, dones.get(key, FOREVER)) for key, begin in begins.items()}
    runs: dict[str, RunHistory] = {}
    for (operation, run), times_of_it in operations.items():
        if run:
            runs[run] = attrs.evolve(runs.get(run, RunHistory()), **{operation: times_of_it})
    return Acknowledged(operations.get(("open", ""), NEVER), runs)
