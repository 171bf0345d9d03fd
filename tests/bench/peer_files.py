"""What is read back from the database file of a measured system, to prove that the work was done, and how."""

import sqlite3
from pathlib import Path


class WorkMissingError(Exception):
    """A measured system did not do the work that it was timed for."""


def ask(path: Path, sql: str) -> int:
    """The one number that a query answers, over a connection of its own."""
    conn = sqlite3.connect(path, timeout=30.0)
    try:
        (number,) = conn.execute(sql).fetchone()
        return int(number)
    finally:
        conn.close()


def expect(path: Path, sql: str, count: int) -> None:
    """Raises WorkMissingError unless the query answers exactly `count`."""
    found = ask(path, sql)
    if found != count:
        raise WorkMissingError(f"{path.name} holds {found} results of {count} steps")


def journal_mode(path: Path) -> str:
    conn = sqlite3.connect(path)
    try:
        (mode,) = conn.execute("PRAGMA journal_mode").fetchone()
        return str(mode)
    finally:
        conn.close()


def set_wal(path: Path) -> None:
    """The mode is a property of the file: whoever opens it later writes with it."""
    conn = sqlite3.connect(path)
    try:
        conn.execute("PRAGMA journal_mode = WAL")
    finally:
        conn.close()


def default_synchronous(path: Path) -> int:
    """What a connection writes with that sets nothing."""
    return ask(path, "PRAGMA synchronous")
