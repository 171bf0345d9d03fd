"""What is observed: locks in /proc/locks, open files, threads, and the flag of a process that is open."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from .leaks import Leaks
from .observed_locks import Lock, can_observe, held_locks, lacking, parse_locks
from .open_flag import FOLDER, OpenFlag, is_open, read_flag

LOCKS = """\
1: POSIX  ADVISORY  READ  7 fe:00:42 1073741826 1073742335
1: -> POSIX  ADVISORY  WRITE 8 fe:00:42 1073741826 1073742335
2: FLOCK  ADVISORY  WRITE 9 fe:00:43 0 EOF
3: POSIX  ADVISORY  WRITE 7 fe:00:44 0 EOF
"""


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / "engine.db")) as conn:
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute("CREATE TABLE t (x)")
        yield conn


def test_locks_are_read_without_those_that_wait_and_those_of_flock() -> None:
    assert list(parse_locks(LOCKS)) == [Lock(7, 42, 1073741826, 1073742335), Lock(7, 44, 0, 2**63)]


def test_locks_can_be_observed_here() -> None:
    assert can_observe()


def test_a_connection_in_wal_mode_holds_both_locks(connection: sqlite3.Connection, tmp_path: Path) -> None:
    assert lacking(held_locks(), os.getpid(), tmp_path / "engine.db") == set()


@pytest.mark.parametrize("name", ["engine.db", "engine.db-shm"])
def test_a_lock_that_closing_another_descriptor_has_dropped_is_lacking(
    connection: sqlite3.Connection, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).read_bytes()
    assert lacking(held_locks(), os.getpid(), tmp_path / "engine.db") == {name}


def test_both_locks_are_lacking_when_the_database_was_replaced(
    connection: sqlite3.Connection, tmp_path: Path
) -> None:
    for name in ("engine.db", "engine.db-shm"):
        (tmp_path / name).rename(tmp_path / f"old {name}")
    assert lacking(held_locks(), os.getpid(), tmp_path / "engine.db") == {"engine.db", "engine.db-shm"}


def test_the_flag_is_odd_while_something_is_open(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    assert read_flag(tmp_path, os.getpid()) == 0
    flag = OpenFlag(tmp_path)
    seen: list[int] = []
    for _ in range(2):
        with flag.raised():
            seen.append(read_flag(tmp_path, os.getpid()))
        seen.append(read_flag(tmp_path, os.getpid()))
    flag.close()
    assert (seen, [is_open(count) for count in seen]) == ([1, 2, 3, 4], [True, False, True, False])


def test_a_file_that_is_left_open_and_one_that_is_closed_are_leaks(tmp_path: Path) -> None:
    before = (tmp_path / "before").open("w")
    leaks = Leaks()
    before.close()
    with (tmp_path / "after").open("w"):
        facts = leaks.facts()
    assert (facts["left_open"], facts["closed_too_many"]) == (
        [str(tmp_path / "after")],
        [str(tmp_path / "before")],
    )


def test_a_thread_that_works_is_a_leak_and_one_that_is_idle_is_none() -> None:
    end = threading.Event()
    threads = [threading.Thread(target=end.wait, name=name) for name in ("Trio thread 7", "commit")]
    for thread in threads:
        thread.start()
    found = Leaks().facts()["busy_threads"]
    end.set()
    for thread in threads:
        thread.join()
    assert "commit" in found
    assert "Trio thread 7" not in found
