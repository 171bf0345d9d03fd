"""One SQLite file of a projection, and its connection. Blocking; one call at a time.

No call waits for a lock that another connection holds: it raises "database is locked", and may be made again.

Rule 1: the connection is in a transaction between begin and commit or rollback, and never else.
Rule 2: the WAL is copied into the database only while no commit can happen. SQLite before 3.51.3 can corrupt
the file when a checkpoint of one connection meets a commit of another (sqlite.org/wal.html, "WAL-reset bug").
Rule 3: nothing is written into a file that has no name any more, and no such commit is reported as done.
"""

import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from trio_workflow.durable_folders import ensure_folder, sync_folder
from trio_workflow.errors import StoreLostError, StoreUnavailableError, WorkflowError
from trio_workflow.exhaustion import exhausted, out_of_descriptors
from trio_workflow.sqlite.connect import DatabaseConnection, abandon, connect
from trio_workflow.sqlite.live_files import LiveFiles

P = ParamSpec("P")
T = TypeVar("T")

WAL_LIMIT = 4 * 1024 * 1024
"""Bytes the WAL may have before it is copied into the database."""

_logger = logging.getLogger(__name__)


class Database:
    """The file at path, made with its folder on first use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._resolved = str(path)  # without links: SQLite keeps the WAL beside the file
        self._conn: DatabaseConnection | None = None
        self._files: LiveFiles | None = None
        # Bytes of WAL at which a checkpoint is tried next.
        self._checkpoint_at = WAL_LIMIT

    @property
    def is_open(self) -> bool:
        """Whether it has a connection; closed, the next call opens one."""
        return self._conn is not None

    def open(self) -> DatabaseConnection:
        """Answer the connection, made if there is none. StoreUnavailableError: no file descriptor is free."""
        if self._conn is None:
            try:
                self._conn = self._connect()
            except (OSError, sqlite3.OperationalError) as error:
                reason = exhausted(error) if isinstance(error, OSError) else out_of_descriptors()
                if reason is None:
                    raise
                raise StoreUnavailableError(
                    f"projection {self.path} cannot be opened now: {reason} ({error})"
                ) from error
        return self._conn

    def _connect(self) -> DatabaseConnection:
        """A connection to the file, whose name is durable on return."""
        ensure_folder(self.path.parent)
        self._resolved = os.path.realpath(self.path)
        conn = _connect(self._resolved)
        try:
            self._files = LiveFiles.of(self._resolved)
            sync_folder(Path(self._resolved).parent)
        except BaseException:
            conn.close()
            raise
        return conn

    def close(self) -> None:
        """Let go of the file. The last connection to it copies the WAL and removes it."""
        conn, self._conn = self._conn, None
        if conn is None:
            return
        try:
            self._check_files()
        except StoreLostError:
            abandon(conn)
        except StoreUnavailableError:
            conn.close()
        else:
            conn.close()

    def _check_files(self) -> None:
        """Raise StoreLostError if the connection's files have other names by now, or none.

        Raises StoreUnavailableError if that cannot be found out now.
        """
        try:
            loss = None if self._files is None else self._files.loss()
        except OSError as error:
            raise StoreUnavailableError(f"projection {self.path} cannot be inspected now: {error}") from error
        if loss is not None:
            raise StoreLostError(
                f"projection {self.path} {loss} while it was in use: end the processes that use it, and "
                "start them again"
            )

    def _check_after_commit(self) -> None:
        """The same; a commit that cannot be checked now stands."""
        with suppress(StoreUnavailableError):
            self._check_files()

    def alone(
        self, call: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run one call as a transaction of its own. WorkflowError: its SQL began one and did not end it."""
        conn = self.open()
        self._check_files()
        try:
            answer = call(conn, *args, **kwargs)
            if conn.in_transaction:
                raise WorkflowError(
                    "the SQL began a transaction; it was undone: use `async with projection.transaction()`"
                )
        except BaseException:
            self.rollback()
            raise
        self._check_after_commit()
        self._checkpoint_if_long(conn)
        return answer

    def begin(self) -> None:
        """Begin a transaction that can write: nobody else can until it ends."""
        conn = self.open()
        self._check_files()
        conn.execute("BEGIN IMMEDIATE")

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
        self._check_after_commit()
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
            size = os.stat(f"{self._resolved}-wal").st_size
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
            with closing(_connect(self._resolved)) as guard:
                guard.execute("BEGIN IMMEDIATE")
                row = conn.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                guard.execute("ROLLBACK")
            _logger.debug("%s: checkpoint (busy, frames, copied): %s", self.path, row)
        except sqlite3.Error as error:
            # Usually another process is writing: the next one to pass the limit tries again.
            _logger.debug("%s: no checkpoint: %s", self.path, error)


def _connect(path: str) -> DatabaseConnection:
    conn = connect(path, mode="rwc")
    try:
        conn.execute("PRAGMA journal_mode=WAL").close()
        conn.execute("PRAGMA wal_autocheckpoint=0").close()
        conn.execute("PRAGMA foreign_keys=ON").close()
        # A WAL that starts afresh is cut to this, so that its size says what is in it.
        conn.execute(f"PRAGMA journal_size_limit={WAL_LIMIT}").close()
        conn.execute("PRAGMA schema_version").fetchone()  # the WAL is there from the first read on
    except BaseException:
        conn.close()
        raise
    return conn
