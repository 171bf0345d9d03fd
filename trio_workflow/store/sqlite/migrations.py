"""The versions of the schema: how a file is brought from one to the next.

Rule: a migration is one transaction. MIGRATIONS[n] leads from version n to n + 1; a new file runs them all.
"""

import sqlite3
from collections.abc import Sequence

from trio_workflow.errors import StoreLostError
from trio_workflow.store.sqlite.statements import LATER_SCHEMAS, SCHEMA

MIGRATIONS: tuple[str, ...] = (SCHEMA, *LATER_SCHEMAS)
NEWEST = len(MIGRATIONS)


def schema_version(conn: sqlite3.Connection) -> int:
    version: int = conn.execute("PRAGMA user_version").fetchone()[0]
    return version


def check_version(path: str, version: int, newest: int = NEWEST) -> None:
    """Raise StoreLostError for a newer schema: this program could misread its data."""
    if version > newest:
        raise StoreLostError(
            f"workflow store {path} has schema {version}, and this trio_workflow knows {newest}: "
            "upgrade trio_workflow"
        )


def migrate(conn: sqlite3.Connection, path: str, migrations: Sequence[str]) -> None:
    """Run the migrations that are missing. Each checks under the write lock whether it still is."""
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
    check_version(path, schema_version(conn), len(migrations))


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
