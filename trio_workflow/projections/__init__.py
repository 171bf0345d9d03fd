"""Read models that executors keep: the protocol of a store, and the store of SQLite files."""

from trio_workflow.projections.protocols import (
    ClosableProjectionStore,
    Projection,
    ProjectionStore,
    ProjectionTransaction,
)
from trio_workflow.projections.sqlite_store import SQLiteProjectionStore

__all__ = [
    "ClosableProjectionStore",
    "Projection",
    "ProjectionStore",
    "ProjectionTransaction",
    "SQLiteProjectionStore",
]
