"""All that a client does, and how often, relative to each other."""

from collections.abc import Awaitable, Callable

from .change_operations import (
    cancel_some,
    change_limit,
    delete_bulk,
    delete_own,
    delete_some,
    prune,
    retry_some,
)
from .client import Client
from .read_operations import (
    check,
    list_records,
    list_runs,
    list_steps,
    read_artifacts,
    read_impatiently,
    read_projection,
    read_results,
    read_statistics,
)
from .start_operations import (
    start_and_cancel,
    start_and_hear,
    start_and_wait,
    start_impatiently,
    start_many,
    start_parked,
    start_trouble,
    start_twice,
)

Operation = Callable[[Client], Awaitable[None]]

BULK_OPERATIONS: list[tuple[Operation, float]] = [(delete_bulk, 1)]
"""Of one client in some processes."""

OPERATIONS: list[tuple[Operation, float]] = [
    (start_and_wait, 30),
    (start_twice, 4),
    (start_many, 3),
    (start_parked, 4),
    (start_and_cancel, 8),
    (start_trouble, 6),
    (start_and_hear, 4),
    (start_impatiently, 6),
    (cancel_some, 1),
    (retry_some, 2),
    (delete_some, 6),
    (delete_own, 6),
    (prune, 0.5),
    (change_limit, 0.5),
    (list_runs, 10),
    (list_steps, 8),
    (list_records, 6),
    (read_results, 8),
    (read_artifacts, 8),
    (read_projection, 6),
    (read_impatiently, 8),
    (check, 1),
    (read_statistics, 4),
]
