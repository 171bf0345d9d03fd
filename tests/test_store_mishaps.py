"""Mishaps of a store that have no file of their own: errors of a connection, of a checkpoint, of a race."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from file_kit import content
from store_kit import Bench, run
from test_locked_store import locked

from trio_workflow.clock import WallClock
from trio_workflow.errors import RuntimeClosedError, StoreError, StoreLostError
from trio_workflow.store.sqlite import check, statements
from trio_workflow.store.sqlite import migrations as migrating
from trio_workflow.store.sqlite.connections import Readers, connect_to_look
from trio_workflow.store.sqlite.file_header import FileHeader
from trio_workflow.store.sqlite.log_checkpoint import LogCheckpoint
from trio_workflow.store.sqlite.migrations import MIGRATIONS, schema_version
from trio_workflow.store.sqlite.opening import open_file
from trio_workflow.store.sqlite.transaction import Tx
from trio_workflow.store.sqlite.watch import Watch


async def is_writable(bench: Bench, run_id: str) -> bool:
    await bench.create(run(run_id, "a"))
    return await bench.run_status(run_id) == "pending"


# --- the writer ------------------------------------------------------------------------------------------


async def test_a_lock_that_is_refused_for_good_is_an_error_and_not_waited_for(bench: Bench) -> None:
    bench.conn.execute("BEGIN")
    with pytest.raises(StoreError, match="cannot start a transaction within a transaction"):
        await bench.create(run("r", "a"))
    bench.conn.execute("ROLLBACK")
    assert await bench.store.reads.workflow("r") is None
    assert await is_writable(bench, "s")


async def test_an_interrupt_in_a_verb_takes_its_batch_back_and_comes_out(bench: Bench) -> None:
    def interrupted(tx: Tx) -> None:
        tx.run("into_trash", {"run_key": 99, "id": "99"})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await bench.store._writer.submit(interrupted)
    assert not bench.conn.in_transaction
    assert bench.rows("SELECT count(*) FROM trash") == [(0,)]
    assert await is_writable(bench, "r")


async def test_steps_whose_run_is_gone_are_an_error(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    claims = await bench.claim()
    bench.rows("DELETE FROM runs")
    with pytest.raises(StoreError, match=r"steps of a run that is gone \(run_key 1\)"):
        await bench.end(claims["a"])


# --- the log ---------------------------------------------------------------------------------------------


async def test_a_checkpoint_that_fails_takes_no_answer_back(bench: Bench) -> None:
    bench.store._committer.ask_for_checkpoint()
    bench.store._committer._log._lock.close()
    await bench.create(run("r", "a"))
    assert await bench.run_status("r") == "pending"
    assert bench.store.statistics().checkpoints == 0


async def test_a_checkpoint_that_meets_another_writer_is_put_off(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    log = bench.store._committer._log
    log.ask()
    with locked(bench.path):
        log.run()
        assert (log.runs, log.is_due()) == (0, True)
    log.run()
    assert (log.runs, log.is_due()) == (1, False)


HOLD = """
import fcntl, sys
with open(sys.argv[1], "r+b") as shared:
    fcntl.lockf(shared, fcntl.LOCK_EX, 1, 121)
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def checkpointing_elsewhere(path: Path) -> Iterator[None]:
    """Another process holds the lock that SQLite takes for a checkpoint, as its wal.c lays it out."""
    command = [sys.executable, "-c", HOLD, f"{path}-shm"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        yield
        holder.communicate(b"")


async def test_a_checkpoint_that_meets_another_checkpoint_is_put_off(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    log = bench.store._committer._log
    log.ask()
    with checkpointing_elsewhere(bench.path):
        log.run()
        assert (log.runs, log.is_due()) == (0, True)
    log.run()
    assert (log.runs, log.is_due()) == (1, False)


def test_a_log_that_is_not_there_asks_for_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "plain.db"
    with closing(sqlite3.connect(path)) as conn:
        log = LogCheckpoint(str(path), conn, WallClock())
        assert not log.is_due()
        log.close()


# --- those who read --------------------------------------------------------------------------------------


def test_a_connection_to_a_file_that_is_no_database_is_not_left_open(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_bytes(b"dear diary" * 100)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        connect_to_look(str(path))
    assert len(os.listdir("/proc/self/fd")) == len(before)


async def test_a_read_that_its_error_ended_hinders_no_other(bench: Bench) -> None:
    def ended(conn: sqlite3.Connection) -> None:
        conn.execute("ROLLBACK")
        raise sqlite3.OperationalError("the disk went away")

    readers = Readers(str(bench.path), Watch(str(bench.path)))
    with pytest.raises(StoreError, match="the disk went away"):
        await readers.read(ended)
    assert await readers.read(lambda conn: conn.execute("SELECT count(*) FROM runs").fetchone()[0]) == 0
    readers.close()


async def test_a_connection_that_reads_while_the_store_closes_is_closed_when_its_read_ends(
    bench: Bench,
) -> None:
    readers = Readers(str(bench.path), Watch(str(bench.path)))

    def close_meanwhile(conn: sqlite3.Connection) -> sqlite3.Connection:
        readers.close()
        conn.execute("SELECT count(*) FROM runs").fetchone()
        return conn

    conn = await readers.read(close_meanwhile)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        conn.execute("SELECT 1")
    with pytest.raises(RuntimeClosedError):
        await readers.read(close_meanwhile)


async def test_of_one_invariant_some_violations_are_shown_however_many_looks_it_takes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check, "STEPS_AT_ONCE", check.SHOWN - 1)
    await bench.create(run("r", *(str(number) for number in range(3 * check.SHOWN))))
    bench.rows("UPDATE steps SET token = 'x'")
    assert [v.invariant for v in await bench.store.reads.check()] == ["lease data"] * check.SHOWN


# --- opening ---------------------------------------------------------------------------------------------


async def test_a_file_that_is_cut_to_less_than_its_header_is_no_database(bench: Bench) -> None:
    cut = bench.path.with_name("cut.db")
    for size in (10, 99):
        cut.write_bytes(content(bench.path)[:size])
        with pytest.raises(StoreError, match="is not a SQLite database"):
            open_file(str(cut), "OFF")


async def test_a_file_that_another_completes_while_it_is_looked_at_is_whole(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint by another process: the pages that lacked are there, and the log is gone."""
    await bench.create(run("r", "a"))
    bench.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    whole, cut = content(bench.path), bench.path.with_name("cut.db")
    cut.write_bytes(whole[:-4096])
    with pytest.raises(StoreError, match="is truncated"):
        open_file(str(cut), "OFF")
    read = FileHeader.read

    def read_early(path: str) -> FileHeader:
        header = read(path)
        cut.write_bytes(whole)
        return header

    monkeypatch.setattr(FileHeader, "read", read_early)
    open_file(str(cut), "OFF").close()


def test_two_who_bring_up_an_old_file_at_once_do_each_migration_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, migrations = str(tmp_path / "old.db"), (*MIGRATIONS, "CREATE TABLE once (x);\n")
    open_file(path, "OFF").close()
    looks: list[int] = []

    def another_is_first(conn: sqlite3.Connection) -> int:
        version = schema_version(conn)
        looks.append(version)
        if len(looks) == 1:
            open_file(path, "OFF", migrations).close()
        return version

    monkeypatch.setattr(migrating, "schema_version", another_is_first)
    with closing(open_file(path, "OFF", migrations)) as conn:
        assert schema_version(conn) == len(migrations)
    assert looks.count(len(MIGRATIONS)) >= 3  # both saw that it was old; one found it done under the lock


def test_a_newer_schema_is_a_lost_store(tmp_path: Path) -> None:
    path = str(tmp_path / "new.db")
    open_file(path, "OFF", (*MIGRATIONS, "CREATE TABLE later (x);\n")).close()
    with pytest.raises(StoreLostError, match="upgrade trio_workflow"):
        open_file(path, "OFF")


def test_two_statements_of_one_name_are_refused() -> None:
    with pytest.raises(AssertionError, match="two statements are named"):
        statements._load("read", "read")
