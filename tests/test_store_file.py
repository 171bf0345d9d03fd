"""The database file: made whole or not at all, looked at before it is touched, brought up to date."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from file_kit import content
from store_kit import Bench, jump, open_bench, run

from trio_workflow.errors import ConfigError, StoreError, StoreLostError
from trio_workflow.store import SQLiteStore
from trio_workflow.store.sqlite.migrations import MIGRATIONS, schema_version
from trio_workflow.store.sqlite.opening import APPLICATION_ID, open_file


def make(path: Path, *statements: str) -> None:
    """A store of ours, changed by hand."""
    open_file(str(path), "OFF").close()
    alter(path, *statements)


def alter(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        for statement in statements:
            conn.execute(statement)


def foreign(path: Path) -> None:
    alter(path, "CREATE TABLE t (x)", "PRAGMA user_version = 1")


def foreign_with_a_log(path: Path) -> None:
    alter(path, "PRAGMA journal_mode = WAL", "CREATE TABLE t (x)")


def text(path: Path) -> None:
    path.write_text("not a database " * 100)


def short_text(path: Path) -> None:
    path.write_text("x")


def empty(path: Path) -> None:
    path.touch()


def newer(path: Path) -> None:
    make(path, "PRAGMA user_version = 99")


def truncated(path: Path) -> None:
    make(path)
    os.truncate(path, path.stat().st_size - 4096)


def cut_to_its_header(path: Path) -> None:
    make(path)
    os.truncate(path, 100)


def damaged(path: Path) -> None:
    make(path)
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 3000)


def read_only(path: Path) -> None:
    make(path)
    path.chmod(0o400)


REFUSED: list[tuple[Callable[[Path], None], str]] = [
    (foreign, "is a SQLite database of another program"),
    (foreign_with_a_log, "is a SQLite database of another program"),
    (text, "is not a SQLite database"),
    (short_text, "is not a SQLite database"),
    (empty, "is an empty file: remove it, and the runtime will make a new store"),
    (newer, f"has schema 99, and this trio_workflow knows {len(MIGRATIONS)}: upgrade trio_workflow"),
    (truncated, "is truncated: it has"),
    (cut_to_its_header, "is truncated: it has 100 bytes"),
    (damaged, "is damaged"),
    (read_only, "is read-only: the runtime must be able to write it"),
]


@pytest.mark.parametrize(("spoil", "message"), REFUSED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_file_that_is_not_fit_is_refused_and_left_as_it_is(
    tmp_path: Path, spoil: Callable[[Path], None], message: str
) -> None:
    path = tmp_path / "engine.db"
    spoil(path)
    before = hashlib.sha256(content(path)).digest(), path.stat().st_mtime_ns, path.stat().st_mode
    for _ in range(2):
        with pytest.raises(StoreError, match=message) as caught:
            open_file(str(path), "FULL")
        assert str(path) in str(caught.value)
    after = hashlib.sha256(content(path)).digest(), path.stat().st_mtime_ns, path.stat().st_mode
    assert after == before
    assert os.listdir(tmp_path) == ["engine.db"]


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "engine.db").mkdir()
    with pytest.raises(StoreError, match="is not a file"):
        open_file(str(tmp_path / "engine.db"), "FULL")
    assert os.listdir(tmp_path / "engine.db") == []


def test_a_link_to_nowhere_and_a_folder_that_is_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    for path in (tmp_path / "link", tmp_path / "file" / "engine.db"):
        with pytest.raises(StoreError, match="cannot be opened"):
            open_file(str(path), "FULL")
    assert not (tmp_path / "nowhere").exists()


def test_a_newer_schema_that_is_only_in_the_log_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "engine.db"
    make(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as newer:
        newer.execute("PRAGMA user_version = 99")
        before = content(path)
        with pytest.raises(StoreError, match="has schema 99"):
            open_file(str(path), "FULL")
        assert content(path) == before


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "^sqlite workflow store path is required$"),
        (":memory:", "open_test_runtime"),
        ("file:x?mode=memory", "must be a file"),
        ("var/engine\0.db", "must not hold a NUL character"),
    ],
)
def test_a_path_that_names_no_file_is_refused(path: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        SQLiteStore(path)


def test_only_known_degrees_of_safety_are_taken() -> None:
    with pytest.raises(ConfigError, match='must be "FULL", "NORMAL" or "OFF", not \'EXTRA\''):
        SQLiteStore("x.db", synchronous="EXTRA")
    assert SQLiteStore("x.db").synchronous == "FULL"
    assert os.path.isabs(SQLiteStore("x.db").path)


def test_a_new_file_is_private_complete_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "some" / "where" / "engine.db"
    conn = open_file(str(path), "FULL")
    pragmas = {
        name: conn.execute(f"PRAGMA {name}").fetchone()[0]
        for name in (
            "application_id",
            "user_version",
            "auto_vacuum",
            "journal_mode",
            "synchronous",
            "foreign_keys",
            "wal_autocheckpoint",
        )
    }
    conn.close()
    assert pragmas == {
        "application_id": APPLICATION_ID,
        "user_version": len(MIGRATIONS),
        "auto_vacuum": 2,  # incremental
        "journal_mode": "wal",
        "synchronous": 2,  # full
        "foreign_keys": 1,
        "wal_autocheckpoint": 0,
    }
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == ["engine.db"]


def test_a_start_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        open_file(str(tmp_path / "engine.db"), "FULL", (*MIGRATIONS, "CREATE TABLE runs (x);"))
    assert os.listdir(tmp_path) == []


STARTER = """
import sys
from trio_workflow.store.sqlite.opening import open_file
sys.stdout.write("up\\n"); sys.stdout.flush(); sys.stdin.readline()
conn = open_file(sys.argv[1], "FULL")
conn.execute("INSERT INTO trash VALUES (?, ?)", (int(sys.argv[2]), sys.argv[2]))
conn.close()
"""


def test_starters_in_several_processes_end_up_with_one_store(tmp_path: Path) -> None:
    path = tmp_path / "engine.db"
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, str(path), str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for starter in starters:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "up\n"
    for starter in starters:
        starter.communicate("go\n", timeout=60)
    assert [starter.returncode for starter in starters] == [0, 0, 0]
    assert os.listdir(tmp_path) == ["engine.db"]
    with closing(open_file(str(path), "FULL")) as conn:
        assert [row[0] for row in conn.execute("SELECT run_key FROM trash ORDER BY 1")] == [0, 1, 2]


# --- migrations ------------------------------------------------------------------------------------------

SECOND = "CREATE TABLE extra (x INTEGER);\nINSERT INTO extra VALUES (1);\n"
THIRD = "ALTER TABLE extra ADD COLUMN y;\nUPDATE extra SET y = 2;\n"


async def test_an_old_file_is_brought_up_and_keeps_what_is_in_it(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    async with open_bench(path) as old:
        await old.create(run("r", "a"))
    with closing(open_file(str(path), "OFF", (*MIGRATIONS, SECOND, THIRD))) as conn:
        assert schema_version(conn) == len(MIGRATIONS) + 2
        assert [tuple(row) for row in conn.execute("SELECT * FROM extra")] == [(1, 2)]
        assert conn.execute("SELECT count(*) FROM steps").fetchone()[0] == 1
    with pytest.raises(StoreError, match="upgrade trio_workflow"):
        open_file(str(path), "OFF")


def test_a_migration_that_fails_is_taken_back_and_those_before_it_stay(tmp_path: Path) -> None:
    path = tmp_path / "engine.db"
    make(path)
    broken = "CREATE TABLE half (x);\nINSERT INTO nowhere VALUES (1);\n"
    with pytest.raises(StoreError, match="nowhere"):
        open_file(str(path), "OFF", (*MIGRATIONS, SECOND, broken))
    with closing(open_file(str(path), "OFF", (*MIGRATIONS, SECOND))) as conn:
        assert schema_version(conn) == len(MIGRATIONS) + 1
        tables = {row[0] for row in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert "extra" in tables
    assert "half" not in tables


def test_a_copy_made_by_vacuum_gets_its_log_back(tmp_path: Path) -> None:
    make(tmp_path / "engine.db", f"VACUUM INTO '{tmp_path / 'copy.db'}'")
    with closing(open_file(str(tmp_path / "copy.db"), "OFF")) as conn:
        assert conn.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


async def test_a_store_closed_in_order_is_one_file(bench: Bench, tmp_path: Path) -> None:
    folder = tmp_path / "alone"
    async with open_bench(folder / "engine.db") as alone:
        await alone.create(run("r", "a"))
        assert await alone.is_sound()
        assert "engine.db-wal" in os.listdir(folder)
    assert os.listdir(folder) == ["engine.db"]


async def test_what_was_committed_is_there_after_a_kill(bench: Bench, tmp_path: Path) -> None:
    await bench.create(run("r", "a"))
    for suffix in ("", "-wal"):  # the files as a killed process leaves them
        shutil.copy(f"{bench.path}{suffix}", f"{tmp_path / 'left.db'}{suffix}")
    async with open_bench(tmp_path / "left.db") as left:
        assert await left.run_status() == "pending"
        assert await left.is_sound()


async def test_virtual_time_goes_on_from_the_latest_time_in_the_store(bench: Bench, tmp_path: Path) -> None:
    jump(1000)
    await bench.create(run("r", "a"))
    async with open_bench(bench.path) as second:
        assert second.now() == bench.now()


async def test_a_store_that_is_damaged_while_it_is_open_is_lost(bench: Bench) -> None:
    await bench.create(run("r", *(str(number) for number in range(500))))
    bench.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    bench.conn.execute("PRAGMA shrink_memory")
    with bench.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (bench.path.stat().st_size - 4096))
    with pytest.raises(StoreLostError, match="is damaged"):
        await bench.claim()
