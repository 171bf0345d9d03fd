"""Connections to the database file: the pragmas every one of them has, and those to read with."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import trio

from trio_workflow.errors import RuntimeClosedError
from trio_workflow.offload import Offload
from trio_workflow.store.sqlite.watch import Watch

T = TypeVar("T")

LOCK_WAIT = 0.2
"""Seconds one attempt to take the write lock waits, in the thread, before the event loop is asked again."""

READERS = 3


def connect(path: str, *, synchronous: str) -> sqlite3.Connection:
    """A connection in autocommit, for one thread at a time. Close it: a dropped one keeps its lock.

    It never makes a file: one that is gone raises sqlite3.OperationalError.
    """
    conn = sqlite3.connect(
        _uri(path, "rw"),
        uri=True,
        timeout=LOCK_WAIT,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        conn.row_factory = sqlite3.Row
        conn.execute("PRAGMA foreign_keys = ON")
        conn.execute(f"PRAGMA synchronous = {synchronous}")
        # Some systems build SQLite so that every page it frees is overwritten with zeros, at a hundred times
        # the cost of freeing it: deleting a payload of 16 MB would hold the write lock for 50 ms.
        conn.execute("PRAGMA secure_delete = FAST")
        # SQLite before 3.51.3 may corrupt a WAL database when one connection's checkpoint meets another's
        # commit (sqlite.org/wal.html, "WAL-reset bug"), so that none of ours checkpoints by itself.
        conn.execute("PRAGMA wal_autocheckpoint = 0")
    except BaseException:
        conn.close()
        raise
    return conn


def connect_to_look(path: str) -> sqlite3.Connection:
    """A connection that cannot write, not even when it is closed.

    The last connection to be closed copies the log back into the database and removes it. While this one
    is open no other does so, and it cannot: a damaged database is then left as it was found.
    """
    conn = sqlite3.connect(_uri(path, "ro"), uri=True, check_same_thread=False)
    try:
        conn.execute("PRAGMA schema_version").fetchone()  # from its first read on it holds a lock on the file
    except BaseException:
        conn.close()
        raise
    return conn


def _uri(path: str, mode: str) -> str:
    """The absolute path, its bytes encoded, whatever they are."""
    return f"{Path(path).as_uri()}?mode={mode}"


class Readers:
    """A few read-only connections. Each read is one short transaction: it sees one state of the store.

    watch: looks at the file before each read, and is told if a read finds the database damaged.
    """

    def __init__(self, path: str, watch: Watch) -> None:
        self._path, self._watch = path, watch
        self._idle: list[sqlite3.Connection] = []  # taken and given back by threads; list methods are atomic
        self._offload = Offload(trio.CapacityLimiter(READERS))
        self._closed = False

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise RuntimeClosedError("the workflow runtime is closed")
        return await self._offload.run(self.read_here, query)

    def read_here(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """The same, in the thread that asks."""
        try:
            conn = self._take()
            try:
                conn.execute("BEGIN")
                return query(conn)
            finally:
                if conn.in_transaction:
                    conn.execute("ROLLBACK")
                self._idle.append(conn)
                if self._closed:
                    self.close()
        except sqlite3.Error as error:
            raise self._watch.explain(error) from error

    def _take(self) -> sqlite3.Connection:
        self._watch.look()
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        conn = connect(self._path, synchronous="NORMAL")
        try:
            self._watch.look()  # again: it may be another file since
            conn.execute("PRAGMA query_only = ON")
            conn.execute("PRAGMA busy_timeout = 10000")
        except BaseException:
            conn.close()
            raise
        return conn

    def close(self) -> None:
        """Close what is idle; a connection still in use is closed when its read ends."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()
