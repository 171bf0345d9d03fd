"""What an error of SQLite means for those who wait for a write or a read."""

import os
import sqlite3

from trio_workflow.errors import StoreError, StoreLostError, StoreUnavailableError
from trio_workflow.sqlite.error_codes import primary_code

_PASSING = {
    sqlite3.SQLITE_BUSY: "is locked by another process",
    sqlite3.SQLITE_LOCKED: "is locked by another connection",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk reports an error",
    sqlite3.SQLITE_NOMEM: "cannot be written: memory is exhausted",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: its folder is gone or closed, or no file handle is free",
    sqlite3.SQLITE_READONLY: "cannot be written: it is read-only",
}
_LOST = {
    sqlite3.SQLITE_CORRUPT: "is damaged",
    sqlite3.SQLITE_NOTADB: "is not a database any more",
}
_GONE = ("no such table", "no such column")  # what our statements name is in every database of ours


_SCHEMA_FAULTS = {
    sqlite3.SQLITE_ERROR,  # "no such column", "table steps has 30 columns but 29 values were supplied"
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_SCHEMA,
}


def may_be_a_newer_schema(error: sqlite3.Error) -> bool:
    """Whether a statement may have failed since another program has changed the tables meanwhile."""
    return primary_code(error) in _SCHEMA_FAULTS


def explain(error: sqlite3.Error, path: str) -> StoreError:
    """The error to raise in place of SQLite's; raise it `from` that one."""
    code = primary_code(error)
    if code in _LOST:
        return StoreLostError(
            f"workflow store {path} {_LOST[code]} ({error}): stop all processes, keep the files, and restore "
            "a backup without the old -wal and -shm"
        )
    if code == sqlite3.SQLITE_ERROR and str(error).startswith(_GONE):
        return StoreLostError(f"workflow store {path} lacks what it should hold ({error})")
    if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_READONLY_DIRECTORY:
        folder = os.path.dirname(path)
        return StoreUnavailableError(
            f"workflow store {path} cannot be written: its folder {folder} is read-only ({error})"
        )
    if code in _PASSING:
        return StoreUnavailableError(f"workflow store {path} {_PASSING[code]} ({error})")
    return StoreError(f"workflow store {path} refused a statement: {error}")
