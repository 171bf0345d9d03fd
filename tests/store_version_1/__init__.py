"""MEMORY: the only place with SQL. `Store` says what a store is; `SQLiteStore` names the one there is."""

from trio_workflow.store.protocol import (
    Completed,
    Created,
    Exchanged,
    Store,
    StoreConfig,
    StoredArtifact,
    StoreReads,
    StoreStatistics,
)
from trio_workflow.store.sqlite.config import SQLiteStore

__all__ = [
    "Completed",
    "Created",
    "Exchanged",
    "SQLiteStore",
    "Store",
    "StoreConfig",
    "StoreReads",
    "StoreStatistics",
    "StoredArtifact",
]
