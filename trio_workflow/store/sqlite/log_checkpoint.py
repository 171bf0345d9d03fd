"""When and how the write-ahead log is copied back into the database file.

Rule: a checkpoint runs only while a connection of ours holds the write lock, so that no commit meets it (see
connections.py). TRUNCATE and RESTART do not give that: with another writer active they fall back to PASSIVE
without the lock, and with an old reader they hold it for the whole busy timeout.

A checkpoint copies no further than the oldest reader sees. While that reader stays, the log grows. Once a
checkpoint has copied the whole log, the next commit begins it anew and cuts the file (LOG_LIMIT).
"""

import logging
import os
import sqlite3
from contextlib import suppress

from trio_workflow.clock import Clock
from trio_workflow.points import POINTS, Point
from trio_workflow.store.sqlite.connections import connect

LOG_BYTES = 4 * 1024**2  # growth of the log file since the last checkpoint that asks for one
LOG_CHANGES = 4000  # rows changed since then that do: a log that is used again from its start does not grow
RETRY_AFTER = 1.0  # seconds after a checkpoint that could not copy all
WARN_BYTES = 64 * 1024**2  # length of the log that is reported while a reader is in the way
WARN_SECONDS = 600.0  # age of the last checkpoint that copied all that is reported then

_logger = logging.getLogger("trio_workflow")


class LogCheckpoint:
    """Belongs to one writer connection and is used only by the thread that holds it."""

    def __init__(self, path: str, writer: sqlite3.Connection, clock: Clock) -> None:
        self._path, self._writer, self._clock = path, writer, clock
        self._lock = connect(path, synchronous="NORMAL")
        self._bytes, self._changes = self._log_size(), writer.total_changes
        self._is_asked_for = False
        self._blocked_since: float | None = None  # monotonic time of the first checkpoint that left a rest
        self._retry_at = 0.0  # monotonic time of the next try while one is blocked
        self._is_reported = False  # whether the present blockage was
        self.runs = 0  # checkpoints that copied the whole log

    def is_due(self) -> bool:
        if self._blocked_since is not None:
            return self._clock.monotonic() >= self._retry_at
        size = self._log_size()
        self._bytes = min(self._bytes, size)  # the log was cut since then
        return (
            self._is_asked_for
            or self._writer.total_changes - self._changes >= LOG_CHANGES
            or size - self._bytes >= LOG_BYTES
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
            _, in_log, copied = self._writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        finally:
            self._lock.execute("ROLLBACK")
        if in_log < 0:  # another connection's checkpoint is under way
            return
        # The row is busy too: a reader that began when all was copied keeps everything from being copied.
        if copied < in_log:
            self._note_blocked()
            return
        self._bytes, self._changes = self._log_size(), self._writer.total_changes
        self._blocked_since, self._is_asked_for, self._is_reported = None, False, False
        self.runs += in_log > 0

    def _note_blocked(self) -> None:
        now = self._clock.monotonic()
        if self._blocked_since is None:
            self._blocked_since = now
        self._retry_at = now + RETRY_AFTER
        size, age = self._log_size(), now - self._blocked_since
        if not self._is_reported and (size >= WARN_BYTES or age >= WARN_SECONDS):
            self._is_reported = True
            _logger.warning(
                "the log %s-wal has %d MB, and for %d s no checkpoint could copy all of it: a connection of "
                "some program keeps a read transaction open, and the log grows until it ends",
                self._path,
                size // 1_000_000,
                age,
            )

    def _log_size(self) -> int:
        with suppress(OSError):
            return os.stat(f"{self._path}-wal").st_size
        return 0

    def close(self) -> None:
        self._lock.close()
