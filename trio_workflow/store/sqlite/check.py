"""The state invariants, asked of the store: each is one statement that finds the rows that break it."""

import hashlib
import sqlite3
from collections.abc import Iterator

from trio_workflow.model.records import Violation
from trio_workflow.store.sqlite.statements import SQL

CHECKS = tuple(name for name in SQL if name.startswith("check_"))
SHOWN = 100  # violations of one invariant that are answered


def find_violations(conn: sqlite3.Connection) -> list[Violation]:
    """Cost: in proportion to the store. Reads one state of it, beside its writers."""
    return [*_broken_statements(conn), *_changed_bodies(conn)]


def _broken_statements(conn: sqlite3.Connection) -> Iterator[Violation]:
    for name in CHECKS:
        invariant = name.removeprefix("check_").replace("_", " ")
        for subject, message in conn.execute(SQL[name]).fetchmany(SHOWN):
            yield Violation(invariant=invariant, subject=subject, message=message)


def _changed_bodies(conn: sqlite3.Connection) -> Iterator[Violation]:
    for artifact_id, body, sha256 in conn.execute(SQL["inline_bodies"]):
        if hashlib.sha256(body).hexdigest() != sha256:
            yield Violation(
                invariant="artifact bytes",
                subject=f"artifact {artifact_id}",
                message="differs from its SHA-256",
            )
