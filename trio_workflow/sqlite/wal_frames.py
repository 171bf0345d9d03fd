"""Whether a database file lacks pages that its write-ahead log does not have either.

A file may be shorter than its own first page says and be sound: in WAL mode it lags behind its log by design,
a checkpoint writes the first page before it appends the last, and after a loss of power the cut of a
checkpoint that made the file shorter may be on the disk without that first page. So the number of pages is
asked of SQLite, which knows the last valid commit in the log.

The log itself may be opened by hand: SQLite holds no POSIX lock on it. sqlite.org/fileformat2.html has its
layout.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress

from trio_workflow.sqlite.connect import connect
from trio_workflow.sqlite.error_codes import primary_code

_LOG_HEADER, _FRAME_HEADER = 32, 24
_LOCK_BYTE = 1 << 30  # the page with this byte is never written


def lacks_pages(path: str) -> bool:
    """Whether pages of the last commit are neither in the file nor in its log. Raises OSError, sqlite3.Error.

    Certain, also while other processes write: inside of a read transaction no checkpoint goes past what it
    sees. A log that this transaction reads is not begun anew, and one that it does not read is in the file.
    """
    if os.stat(path).st_size == 0:  # SQLite would remove the log of an empty file
        return True
    with closing(connect(path, mode="ro", timeout=1.0)) as conn:
        try:
            conn.execute("BEGIN")
            conn.execute("PRAGMA schema_version").fetchone()
            pages: int = conn.execute("PRAGMA page_count").fetchone()[0]
            page_size: int = conn.execute("PRAGMA page_size").fetchone()[0]
        except sqlite3.DatabaseError as error:
            if primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                # The first page is not there, or it says that there should be more pages.
                return True
            raise
        size = os.stat(path).st_size
        lacking = set(range(size // page_size + 1, pages + 1))
        lacking.discard(_LOCK_BYTE // page_size + 1)
        return bool(lacking) and not lacking <= set(_pages_in_log(f"{path}-wal"))


def _pages_in_log(wal: str) -> Iterator[int]:
    """The pages with a frame of the log's present generation, which has its salt."""
    with suppress(FileNotFoundError), open(wal, "rb") as file:
        header = file.read(_LOG_HEADER)
        page_size, salt = _number(header, 8), header[16:24]
        while len(frame := file.read(_FRAME_HEADER)) == _FRAME_HEADER and frame[8:16] == salt:
            yield _number(frame, 0)
            file.seek(page_size, os.SEEK_CUR)


def _number(text: bytes, offset: int) -> int:
    return int.from_bytes(text[offset : offset + 4], "big")
