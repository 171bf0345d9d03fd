"""When and how the write-ahead log is copied back into the database file.

Rule: a checkpoint runs only while a connection of ours holds the write lock, so that no commit meets it (see
connections.py). TRUNCATE and RESTART do not give that: with another writer active they fall back to PASSIVE
without the lock, and with an old reader they hold it for the whole busy timeout.
"""

import os
import sqlite3
from contextlib import suppress

from trio_workflow.points import POINTS, Point
from trio_workflow.store.sqlite.connections import connect

LOG_BYTES = 4 * 1024**2  # growth of the log file since the last checkpoint that asks for one
LOG_CHANGES = 4000  # rows changed since then that do: a log that is used again from its start does not grow


class LogCheckpoint:
    """Belongs to one writer connection and is used only by the thread that holds it."""

    def __init__(self, path: str, writer: sqlite3.Connection) -> None:
        self._path, self._writer = path, writer
        self._lock = connect(path, synchronous="NORMAL")
        self._bytes, self._changes = self._log_size(), writer.total_changes
        self._is_asked_for = False
        self.runs = 0

    def is_due(self) -> bool:
        return (
            self._is_asked_for
            or self._writer.total_changes - self._changes >= LOG_CHANGES
            or self._log_size() - self._bytes >= LOG_BYTES
        )

    def ask(self) -> None:
        """One is due, whatever has changed."""
        self._is_asked_for = True

    def run(self) -> None:
        """Copy what can be copied. A lock that is taken, or a reader in the way, only puts it off."""
        POINTS.reach(Point.LOG)
        try:
            self._lock.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return
        try:
            busy, _in_log, _copied = self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if not busy:
                self._bytes, self._changes = self._log_size(), self._writer.total_changes
                self._is_asked_for = False
                self.runs += 1
        finally:
            self._lock.execute("ROLLBACK")

    def _log_size(self) -> int:
        with suppress(OSError):
            return os.stat(f"{self._path}-wal").st_size
        return 0

    def close(self) -> None:
        self._lock.close()
