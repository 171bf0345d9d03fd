"""SQLite's error codes, as the sqlite3 module has them."""

import sqlite3


def primary_code(error: sqlite3.Error) -> int:
    """The low byte: SQLite's extended codes say the same, more finely. -1 for an error without a code."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return -1 if code is None else code & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """Whether nothing was done, since another connection holds the lock."""
    return primary_code(error) == sqlite3.SQLITE_BUSY
