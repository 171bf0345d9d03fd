"""The database file: made whole or not at all, checked before it is touched, brought up to date.

Rule 1: a file that is not ours, newer than we know, truncated, empty or read-only is refused and left as it
is. So is the log of a file that is gone.
Rule 2: a new file is built beside under a temporary name, complete and fsynced, then linked into place, so
that two starters and a kill at birth leave nothing half-made.
Rule 3: the path is resolved before "-wal" is put behind it: SQLite keeps the log beside the file, not beside
a link to it.
"""

import os
import secrets
import sqlite3
import stat
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from trio_workflow.durable_folders import ensure_folder, sync_folder
from trio_workflow.errors import StoreError, StoreUnavailableError
from trio_workflow.exhaustion import exhausted
from trio_workflow.sqlite.error_codes import is_busy
from trio_workflow.sqlite.wal_frames import lacks_pages
from trio_workflow.store.sqlite.connections import connect, connect_to_look
from trio_workflow.store.sqlite.faults import explain
from trio_workflow.store.sqlite.file_header import FileHeader
from trio_workflow.store.sqlite.migrations import MIGRATIONS, check_version, migrate
from trio_workflow.store.sqlite.second_names import refuse_second_names

T = TypeVar("T")

APPLICATION_ID = 0x54574F46  # "TWOF"; `file` and others show it
LONGEST_PATH = 504  # SQLite's own limit, less what it puts behind a path
OPEN_WAIT, OPEN_PAUSE = 10.0, 0.02
"""Seconds to wait for a lock when a store is opened, and between two tries."""


def open_file(
    path: str, synchronous: str, migrations: Sequence[str] = MIGRATIONS, *, create: bool = True
) -> sqlite3.Connection:
    """The writer connection of a database that is ours and up to date. path: as `resolve` returns it.

    Raises StoreError.
    """
    path = resolve(path)
    try:
        has_log = _has_log(path)  # asked first: who makes the file has a log of it only afterwards
        if not os.path.lexists(path):
            if not create:
                raise StoreError(f"workflow store {path} does not exist")
            ensure_folder(Path(path).parent)
            _refuse_to_build(path, has_log=has_log)
            _build(path, migrations)
        _refuse_unfit(path, len(migrations))
        sync_folder(Path(path).parent)  # this process has linked the file, or another did so a moment ago
        with left_alone(path):
            conn = connect(path, synchronous=synchronous)
            try:
                _keep_log(conn)
                migrate(conn, path, migrations)
            except BaseException:
                conn.close()
                raise
    except sqlite3.Error as error:
        raise explain(error, path) from error
    except OSError as error:
        kind = StoreError if exhausted(error) is None else StoreUnavailableError
        raise kind(f"workflow store {path} cannot be opened: {error}") from error
    return conn


def while_locked(open_once: Callable[[], T]) -> T:
    """Open again while another process has the file locked. Raises StoreUnavailableError at last.

    The last process that closes a file locks it while it copies the log, and so does the first that gives a
    copy without a log its log back: others may start at that very moment.
    """
    give_up_at = time.monotonic() + OPEN_WAIT
    while True:
        try:
            return open_once()
        except StoreUnavailableError as error:
            cause = error.__cause__
            if not isinstance(cause, sqlite3.Error) or not is_busy(cause) or time.monotonic() >= give_up_at:
                raise
        time.sleep(OPEN_PAUSE)


def resolve(path: str) -> str:
    """The path without links, so that "-wal" fits behind it. Raises StoreError for a link to nowhere."""
    for link in (Path(path), *Path(path).parents):
        if link.is_symlink() and not link.exists():
            raise StoreError(
                f"workflow store {path} cannot be opened: {link} is a link to {os.readlink(link)}, which "
                "leads to nothing"
            )
    resolved = os.path.realpath(path)
    if len(os.fsencode(resolved)) > LONGEST_PATH:
        raise StoreError(
            f"workflow store {resolved} has a path of over {LONGEST_PATH} bytes: SQLite cannot open it"
        )
    return resolved


@contextmanager
def left_alone(path: str) -> Generator[None]:
    """Should the block fail and close its connections, what is in the log stays there. Raises StoreError."""
    look = None
    try:
        if _has_log(path):
            look = connect_to_look(path)
        yield
    except sqlite3.Error as error:
        raise explain(error, path) from error
    finally:
        if look is not None:
            look.close()


def _has_log(path: str) -> bool:
    try:
        return os.stat(f"{path}-wal").st_size > 0
    except FileNotFoundError:
        return False


def _refuse_to_build(path: str, *, has_log: bool) -> None:
    """SQLite would copy into a new file what the log of the one before holds."""
    if has_log:
        raise StoreError(
            f"workflow store {path} is gone, and its log {path}-wal is there: put the same database back (a "
            "backup would be damaged by this log), or remove the log, and the runtime will make a new store"
        )


def _keep_log(conn: sqlite3.Connection) -> None:
    """A copy that VACUUM INTO made has no write-ahead log: in it, readers and writers block each other."""
    if conn.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        conn.execute("PRAGMA journal_mode = WAL")


def _build(path: str, migrations: Sequence[str]) -> None:
    folder, name = os.path.split(path)
    draft = os.path.join(folder, f".{name}.{secrets.token_hex(8)}.new")
    os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    try:
        _fill(draft, migrations)
        # Another starter may have been first. Its file is as good as ours.
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(draft)


def _fill(draft: str, migrations: Sequence[str]) -> None:
    conn = connect(draft, synchronous="FULL")
    try:
        conn.execute("PRAGMA auto_vacuum = INCREMENTAL")  # has an effect only before anything is stored
        conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        conn.execute("PRAGMA journal_mode = WAL")
        migrate(conn, draft, migrations)
    finally:
        conn.close()  # the last connection: the log is copied back and removed
    _sync_draft(draft)


def _sync_draft(draft: str) -> None:
    """Nobody else knows the draft, so that closing a descriptor of it drops no lock."""
    handle = os.open(draft, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refuse_unfit(path: str, newest: int) -> None:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise StoreError(f"workflow store {path} is not a file")
    if not status.st_mode & 0o222 or not os.access(path, os.W_OK):
        raise StoreError(f"workflow store {path} is read-only: the runtime must be able to write it")
    _refuse_read_only_folder(path)
    refuse_second_names(path)
    if status.st_size == 0:
        raise StoreError(
            f"workflow store {path} is an empty file: remove it, and the runtime will make a new store"
        )
    header = FileHeader.read(path)
    if not header.is_sqlite:
        raise StoreError(f"workflow store {path} is not a SQLite database")
    if header.application_id != APPLICATION_ID:
        raise StoreError(f"workflow store {path} is a SQLite database of another program")
    check_version(path, header.version, newest)
    if header.is_short and _is_truncated(path):
        raise StoreError(
            f"workflow store {path} is truncated: it has {os.stat(path).st_size} bytes, and pages that it "
            "should have are not in its log either; restore a backup"
        )


def _refuse_read_only_folder(path: str) -> None:
    folder = os.path.dirname(path)
    if not os.stat(folder).st_mode & 0o222 or not os.access(folder, os.W_OK | os.X_OK):
        raise StoreError(
            f"workflow store {path} cannot be written: its folder {folder} is read-only, and SQLite keeps "
            "the log of the database there"
        )


def _is_truncated(path: str) -> bool:
    """Whether a file that is too short lacks pages that are not in its log. Others may be writing it."""
    while _has_log(path):
        if not lacks_pages(path):
            return False
        if _has_log(path):  # else it was copied into the file and removed meanwhile
            return True
    return FileHeader.read(path).is_short
