"""What the first page of a database file says of it before the file is used. The file is not changed."""

import os
import sqlite3
from contextlib import closing

import attrs

from trio_workflow.sqlite.connect import connect_immutable
from trio_workflow.sqlite.error_codes import primary_code

SIZE = 100
"""Bytes of a header."""


@attrs.frozen
class FileHeader:
    """is_short: the file has fewer pages than its first page says, which its log may make good."""

    is_sqlite: bool
    application_id: int = 0
    version: int = 0
    is_short: bool = False

    @classmethod
    def read(cls, path: str) -> "FileHeader":
        """Raises OSError, sqlite3.Error for a first page that cannot be read."""
        if os.stat(path).st_size < SIZE:
            return cls(is_sqlite=False)
        with closing(connect_immutable(path)) as conn:
            is_short = False
            try:
                _pragma(conn, "schema_version")  # reads the first page, and no table
            except sqlite3.DatabaseError as error:
                if primary_code(error) == sqlite3.SQLITE_NOTADB:
                    return cls(is_sqlite=False)
                if primary_code(error) != sqlite3.SQLITE_CORRUPT:
                    raise
                is_short = True
                conn.execute("PRAGMA writable_schema = ON")  # with it SQLite reads a file that is too short
            return cls(
                is_sqlite=True,
                application_id=_pragma(conn, "application_id"),
                version=_pragma(conn, "user_version"),
                is_short=is_short or _lacks_part_of_its_last_page(conn, path),
            )


def _lacks_part_of_its_last_page(conn: sqlite3.Connection, path: str) -> bool:
    """SQLite takes such a page for a page."""
    try:
        return os.stat(path).st_size < _pragma(conn, "page_count") * _pragma(conn, "page_size")
    except sqlite3.DatabaseError:
        return False  # the tables are damaged: whoever reads them reports it


def _pragma(conn: sqlite3.Connection, name: str) -> int:
    value: int = conn.execute(f"PRAGMA {name}").fetchone()[0]
    return value
