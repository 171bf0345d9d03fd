"""Connections to SQLite files, and why nothing else opens those files.

Rule 1: POSIX locks belong to the process and the inode. Closing any descriptor of a database file or of its
-shm drops the locks that SQLite holds on it in this process, and the next process that closes the database
deletes the -wal under us (sqlite.org/howtocorrupt.html, 2.2). So no code of ours opens these files by itself.
Connections of SQLite's default VFS may be closed at any time: SQLite keeps their descriptors until the last
lock is gone.
Rule 2: a forked child inherits SQLite's table of locks, and none of the locks. It would believe to hold locks
that it does not hold. So it opens no file that was open at the fork, also after its parent has closed it.
Rule 3: a forked child never closes a connection of its parent, not even when it exits. Closing takes locks by
that same table, and the last connection to close removes the -wal: by then it may be another process's.
"""

import ctypes
import itertools
import os
import sqlite3
import weakref
from pathlib import Path

import attrs

from trio_workflow.errors import StoreError, StoreLostError
from trio_workflow.sqlite.file_identity import FileIdentity


@attrs.frozen
class _OpenFile:
    """A connection's file. process: the process that opened it; a forked child inherits the entry."""

    file: FileIdentity
    process: int
    connection: "weakref.ref[DatabaseConnection]"


# By a number that is never used again. No lock guards it, since a fork could copy a lock that is held: each
# use of it is one operation that the interpreter does not divide.
_open_files: dict[int, _OpenFile] = {}
_numbers = itertools.count()
_lost_files: set[FileIdentity] = set()


class DatabaseConnection(sqlite3.Connection):
    """A connection that is listed as open until it is closed."""

    number = -1  # until it is listed

    def list_as_open(self, path: str) -> None:
        self.number = next(_numbers)
        _open_files[self.number] = _OpenFile(FileIdentity.of(path), os.getpid(), weakref.ref(self))

    def close(self) -> None:
        """Close it. In a forked child nothing happens (rule 3)."""
        entry = _open_files.get(self.number)
        if entry is None or entry.process == os.getpid():
            super().close()
            _open_files.pop(self.number, None)


def abandon(connection: DatabaseConnection) -> None:
    """Never close a connection whose file, log or index was lost, and refuse its file from now on.

    To close it could remove what others have under these names by now; and while it is open SQLite cannot use
    the same file in this process.
    """
    entry = _open_files.get(connection.number)
    if entry is not None:
        _lost_files.add(entry.file)
    _keep_for_ever(connection)


def _keep_for_ever(connection: DatabaseConnection) -> None:
    """Never deallocate it, which would close it."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(connection))


def _keep_inherited_connections() -> None:
    """In a forked child: rule 3."""
    for entry in list(_open_files.values()):
        connection = entry.connection()
        if connection is not None:
            _keep_for_ever(connection)


os.register_at_fork(after_in_child=_keep_inherited_connections)


def connect(path: str, *, mode: str = "rw", timeout: float = 0.0) -> DatabaseConnection:
    """A connection in autocommit, for one thread at a time. Close it: a dropped connection keeps its lock.

    mode: of SQLite's URIs; "rw" never makes a file: sqlite3.OperationalError where there is none. Raises
    StoreError for a file that was open when this process was forked, StoreLostError for one that was lost.
    """
    check_usable(path)
    conn = sqlite3.connect(
        f"{Path(path).as_uri()}?mode={mode}",
        uri=True,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
        factory=DatabaseConnection,
    )
    try:
        conn.list_as_open(path)
        check_usable(path)
    except BaseException:
        conn.close()
        raise
    return conn


def connect_immutable(path: str) -> DatabaseConnection:
    """A connection that takes no lock, reads no log and makes no file: for facts about a file before its use.

    With writable_schema SQLite reads a file that has fewer pages than its first page says. Such a file is
    sound when its log has the other pages, so what this connection says condemns nothing by itself.
    """
    return connect(path, mode="ro&immutable=1")


def check_usable(path: str) -> None:
    """Raise StoreError for a database that was open in the parent of this process when it was forked.

    Raises StoreLostError for one that has lost its log while this process used it.
    """
    file, process = FileIdentity.or_none(path), os.getpid()
    if file in _lost_files:
        raise StoreLostError(
            f"{path} was lost, or has lost its write-ahead log, while this process was using it: end the "
            "processes that use it, and start them again"
        )
    if any(entry.process != process and entry.file == file for entry in list(_open_files.values())):
        raise StoreError(
            f"{path} was open when this process was forked, and SQLite's locks on it do not hold here: start "
            "child processes with the start method spawn, or before the store or projection is opened"
        )
