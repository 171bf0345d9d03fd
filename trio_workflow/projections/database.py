"""One SQLite file of a projection, and its connection. Blocking; one call at a time.

No call waits for a lock that another connection holds: it raises "database is locked", and may be made again.

Rule 1: the connection is in a transaction between begin and commit or rollback, and never else.
Rule 2: the WAL is copied into the database only while no commit can happen. SQLite before 3.51.3 can corrupt
the file when a checkpoint of one connection meets a commit of another (sqlite.org/wal.html, "WAL-reset bug").
"""

import logging
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from trio_workflow.errors import WorkflowError

P = ParamSpec("P")
T = TypeVar("T")

WAL_LIMIT = 4 * 1024 * 1024
"""Bytes the WAL may have before it is copied into the database."""

_logger = logging.getLogger(__name__)


class Database:
    """The file at path, made with its folder on first use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._wal = path.with_name(f"{path.name}-wal")
        self._conn: sqlite3.Connection | None = None
        # Bytes of WAL at which a checkpoint is tried next.
        self._checkpoint_at = WAL_LIMIT

    @property
    def is_open(self) -> bool:
        """Whether it has a connection; closed, the next call opens one."""
        return self._conn is not None

    def open(self) -> sqlite3.Connection:
        """Answer the connection, made if there is none."""
        if self._conn is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._conn = _connect(self.path)
        return self._conn

    def close(self) -> None:
        """Let go of the file. The last connection to it copies the WAL and removes it."""
        conn, self._conn = self._conn, None
        if conn is not None:
            conn.close()

    def alone(
        self, call: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run one call as a transaction of its own. WorkflowError: its SQL began one and did not end it."""
        conn = self.open()
        try:
            answer = call(conn, *args, **kwargs)
            if conn.in_transaction:
                raise WorkflowError(
                    "the SQL began a transaction; it was undone: use `async with projection.transaction()`"
                )
        except BaseException:
            self.rollback()
            raise
        self._checkpoint_if_long(conn)
        return answer

    def begin(self) -> None:
        """Begin a transaction that can write: nobody else can until it ends."""
        self.open().execute("BEGIN IMMEDIATE")

    def inside(
        self, call: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run one call in the transaction that was begun. WorkflowError: the transaction has ended before it.

        An error may end it (a full disk, ON CONFLICT ROLLBACK), and so may the SQL itself: what followed
        would be stored at once, each statement for itself.
        """
        conn = self._in_transaction()
        answer = call(conn, *args, **kwargs)
        if not conn.in_transaction:
            raise WorkflowError("the SQL ended the transaction: leave its block instead, or raise in it")
        return answer

    def commit(self) -> None:
        """Keep what was done since begin, or nothing of it and raise."""
        conn = self._in_transaction()
        conn.execute("COMMIT")
        self._checkpoint_if_long(conn)

    def rollback(self) -> None:
        """Undo what was done since begin; quiet when there is nothing to undo. It cannot fail."""
        conn = self._conn
        if conn is None or not conn.in_transaction:
            return
        try:
            conn.execute("ROLLBACK")
        except sqlite3.Error:
            # Closing undoes it too, and keeps rule 1.
            _logger.warning("%s: ROLLBACK failed; the connection is closed", self.path, exc_info=True)
            self.close()

    def _in_transaction(self) -> sqlite3.Connection:
        if self._conn is None or not self._conn.in_transaction:
            raise WorkflowError("the transaction has ended: its SQL or an error in it undid what it had done")
        return self._conn

    def _checkpoint_if_long(self, conn: sqlite3.Connection) -> None:
        """Copy a WAL that passed the limit. It cannot fail: what was written before it is committed."""
        try:
            size = self._wal.stat().st_size
        except OSError:
            return
        if size <= WAL_LIMIT:
            self._checkpoint_at = WAL_LIMIT
        elif size > self._checkpoint_at:
            # Readers can keep the WAL from starting afresh: then it is tried once per so many bytes.
            self._checkpoint_at = size + WAL_LIMIT
            self._checkpoint(conn)

    def _checkpoint(self, conn: sqlite3.Connection) -> None:
        try:
            with closing(_connect(self.path)) as guard:
                guard.execute("BEGIN IMMEDIATE")
                row = conn.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                guard.execute("ROLLBACK")
            _logger.debug("%s: checkpoint (busy, frames, copied): %s", self.path, row)
        except sqlite3.Error as error:
            # Usually another process is writing: the next one to pass the limit tries again.
            _logger.debug("%s: no checkpoint: %s", self.path, error)


def _connect(path: Path) -> sqlite3.Connection:
    conn = sqlite3.connect(path, timeout=0.0, isolation_level=None, check_same_thread=False)
    try:
        conn.execute("PRAGMA journal_mode=WAL").close()
        conn.execute("PRAGMA wal_autocheckpoint=0").close()
        conn.execute("PRAGMA foreign_keys=ON").close()
        # A WAL that starts afresh is cut to this, so that its size says what is in it.
        conn.execute(f"PRAGMA journal_size_limit={WAL_LIMIT}").close()
    except BaseException:
        conn.close()
        raise
    return conn


def is_locked(error: sqlite3.Error) -> bool:
    """Whether nothing was done, since another connection holds the lock."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
