"""Bytes that are to be removed from the artifact store, as values."""

import attrs

from trio_workflow.model.artifact import ArtifactRef


@attrs.frozen
class Removal:
    """Bytes that no committed row names. key: of its row in the store."""

    key: int
    ref: ArtifactRef


@attrs.frozen
class FailedRemoval:
    """A try to remove bytes that failed. error: a text that can be stored."""

    key: int
    error: str


@attrs.frozen
class PendingRemovals:
    """What waits to be removed. next_try_at: microseconds of the next try to remove bytes, None for no try.

    has_rows: rows of deleted runs are left, or references that were released.
    """

    has_rows: bool
    next_try_at: int | None
