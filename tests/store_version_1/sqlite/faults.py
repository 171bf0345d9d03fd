"""What an error of SQLite means for those who wait for a write or a read."""

import sqlite3

from trio_workflow.errors import StoreError, StoreLostError, StoreUnavailableError

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


def is_busy(error: sqlite3.Error) -> bool:
    return _primary_code(error) == sqlite3.SQLITE_BUSY


def explain(error: sqlite3.Error, path: str) -> StoreError:
    """The error to raise in place of SQLite's; raise it `from` that one."""
    code = _primary_code(error)
    if code in _LOST:
        return StoreLostError(f"workflow store {path} {_LOST[code]} ({error})")
    if code == sqlite3.SQLITE_ERROR and str(error).startswith(_GONE):
        return StoreLostError(f"workflow store {path} lacks what it should hold ({error})")
    if code in _PASSING:
        return StoreUnavailableError(f"workflow store {path} {_PASSING[code]} ({error})")
    return StoreError(f"workflow store {path} refused a statement: {error}")


def _primary_code(error: sqlite3.Error) -> int:
    """The low byte: SQLite's extended codes say the same, more finely."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return -1 if code is None else code & 0xFF
