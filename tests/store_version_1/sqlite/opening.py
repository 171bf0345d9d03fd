"""The database file: made whole or not at all, checked before it is touched, brought up to date.

Rule 1: a file that is not ours, newer than we know, truncated, empty or read-only is refused and left as it
is: its header is read as bytes before SQLite opens it. So is the log of a file that is gone.
Rule 2: a new file is built beside under a temporary name, complete and fsynced, then linked into place, so
that two starters and a kill at birth leave nothing half-made.
Rule 3: a migration is one transaction.
"""

import os
import secrets
import sqlite3
import stat
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress

from trio_workflow.errors import StoreError, StoreLostError
from trio_workflow.store.sqlite.connections import connect, connect_to_look
from trio_workflow.store.sqlite.faults import explain
from trio_workflow.store.sqlite.file_header import FileHeader, is_truncated
from trio_workflow.store.sqlite.statements import SCHEMA

APPLICATION_ID = 0x54574F46  # "TWOF"; `file` and others show it
MIGRATIONS: tuple[str, ...] = (SCHEMA,)
"""MIGRATIONS[n] leads from schema version n to n + 1; a new file runs them all."""


def open_file(path: str, synchronous: str, migrations: Sequence[str] = MIGRATIONS) -> sqlite3.Connection:
    """The writer connection of a database that is ours and up to date. Raises StoreError."""
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        has_log = _has_log(path)  # asked first: who makes the file has a log of it only afterwards
        if not os.path.lexists(path):
            _refuse_to_build(path, has_log=has_log)
            _build(path, migrations)
        _refuse_unfit(path, len(migrations))
        with left_alone(path):
            conn = connect(path, synchronous=synchronous)
            try:
                _keep_log(conn)
                _migrate(conn, path, migrations)
            except BaseException:
                conn.close()
                raise
    except sqlite3.Error as error:
        raise explain(error, path) from error
    except OSError as error:
        raise StoreError(f"workflow store {path} cannot be opened: {error}") from error
    return conn


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
            f"workflow store {path} is gone, and its log {path}-wal is there: put the database back, "
            "or remove the log, and the runtime will make a new store"
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
        _fsync(folder or ".")
    finally:
        os.unlink(draft)


def _fill(draft: str, migrations: Sequence[str]) -> None:
    conn = connect(draft, synchronous="FULL")
    try:
        conn.execute("PRAGMA auto_vacuum = INCREMENTAL")  # has an effect only before anything is stored
        conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        conn.execute("PRAGMA journal_mode = WAL")
        _migrate(conn, draft, migrations)
    finally:
        conn.close()  # the last connection: the log is copied back and removed
    _fsync(draft)


def _fsync(path: str) -> None:
    handle = os.open(path, os.O_RDONLY)
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
    if status.st_size == 0:
        raise StoreError(
            f"workflow store {path} is an empty file: remove it, and the runtime will make a new store"
        )
    header = FileHeader.read(path)
    if not header.is_sqlite:
        raise StoreError(f"workflow store {path} is not a SQLite database")
    if header.application_id != APPLICATION_ID:
        raise StoreError(f"workflow store {path} is a SQLite database of another program")
    refuse_newer(path, header.version, newest)
    if is_truncated(path):
        raise StoreError(
            f"workflow store {path} is truncated: it has {os.stat(path).st_size} bytes of {header.size}; "
            "restore a backup"
        )


def refuse_newer(path: str, version: int, newest: int = len(MIGRATIONS)) -> None:
    """Raise StoreLostError: whoever migrated the file may store what this program would misread."""
    if version > newest:
        raise StoreLostError(
            f"workflow store {path} has schema {version}, and this trio_workflow knows {newest}: "
            "upgrade trio_workflow"
        )


def schema_version(conn: sqlite3.Connection) -> int:
    version: int = conn.execute("PRAGMA user_version").fetchone()[0]
    return version


def _migrate(conn: sqlite3.Connection, path: str, migrations: Sequence[str]) -> None:
    """Run the migrations that are missing, each in one transaction that first looks whether it still is."""
    conn.execute("PRAGMA busy_timeout = 30000")
    while (version := schema_version(conn)) < len(migrations):
        conn.execute("BEGIN IMMEDIATE")
        try:
            if schema_version(conn) == version:
                for statement in _split(migrations[version]):
                    conn.execute(statement)
                conn.execute(f"PRAGMA user_version = {version + 1}")
            conn.execute("COMMIT")
        finally:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
    conn.execute("PRAGMA busy_timeout = 200")
    refuse_newer(path, schema_version(conn), len(migrations))


def _split(script: str) -> list[str]:
    """The statements of a script. executescript would commit the transaction they must share."""
    statements: list[str] = []
    text = ""
    for line in script.splitlines(keepends=True):
        text += line
        if sqlite3.complete_statement(text):
            statements.append(text)
            text = ""
    return statements
