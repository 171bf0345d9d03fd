"""Running one statement on a connection. Blocking; errors of SQLite come out as they are."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, cast

from trio_workflow.projections.protocols import Row

# begin, keep, undo
_OWN = ("BEGIN IMMEDIATE", "COMMIT", ("ROLLBACK",))
_NESTED = (
    "SAVEPOINT trio_workflow_many",
    "RELEASE trio_workflow_many",
    ("ROLLBACK TO trio_workflow_many", "RELEASE trio_workflow_many"),
)


def execute(conn: sqlite3.Connection, sql: str, args: Sequence[Any]) -> int:
    """Run one statement to its end and answer how many rows it changed; rows it answers are dropped."""
    before = conn.total_changes
    with closing(conn.execute(sql, _values(args))) as cursor:
        for _ in cursor:
            pass
        return _changed(conn, cursor, before)


def query(conn: sqlite3.Connection, sql: str, args: Sequence[Any]) -> list[dict[str, Any]]:
    """Run one statement and answer its rows. Of columns with one name the last is answered."""
    with closing(conn.execute(sql, _values(args))) as cursor:
        if cursor.description is None:
            return []
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]


def execute_many(conn: sqlite3.Connection, sql: str, rows: Sequence[Row]) -> int:
    """Run one statement for every row, for all or for none, in the transaction there is or in one of its own.

    Only statements that change rows are allowed: else ProgrammingError. Afterwards the connection is in a
    transaction if and only if it was before, or an error ended it.
    """
    begin, keep, undo = _NESTED if conn.in_transaction else _OWN
    conn.execute(begin)
    try:
        changed = _run_many(conn, sql, rows)
        conn.execute(keep)
    except BaseException:
        if conn.in_transaction:
            for statement in undo:
                conn.execute(statement)
        raise
    return changed


def _run_many(conn: sqlite3.Connection, sql: str, rows: Sequence[Row]) -> int:
    before = conn.total_changes
    with closing(conn.executemany(sql, rows)) as cursor:
        return conn.total_changes - before if cursor.rowcount < 0 else cursor.rowcount


def _values(args: Sequence[Any]) -> Row:
    """By name, if a mapping is all there is."""
    if len(args) == 1 and isinstance(args[0], Mapping):
        return cast(Row, args[0])
    return args


def _changed(conn: sqlite3.Connection, cursor: sqlite3.Cursor, before: int) -> int:
    """The rows of the statement's own, without those of triggers and foreign keys."""
    if cursor.rowcount >= 0:
        return cursor.rowcount
    # sqlite3 does not count for a statement that begins with WITH; SQLite does.
    if conn.total_changes == before:
        return 0
    changes: int = conn.execute("SELECT changes()").fetchone()[0]
    return changes
