"""The write-ahead log: when it is copied into the database, when it gets short, what is reported of it."""

import logging
import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from store_kit import Bench, jump, run, step

from trio_workflow.store.sqlite import log_checkpoint
from trio_workflow.store.sqlite.connections import LOG_LIMIT

BIG = f'"{"x" * 2_000_000}"'


@contextmanager
def reader(path: Path) -> Generator[None]:
    """A program that reads, and does not end its transaction within the block."""
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("BEGIN")
        conn.execute("SELECT count(*) FROM runs").fetchone()
        yield
        conn.execute("ROLLBACK")


def log_size(bench: Bench) -> int:
    return bench.path.with_name(f"{bench.path.name}-wal").stat().st_size


async def write(bench: Bench, *, megabytes: int, name: str) -> None:
    for number in range(megabytes // 2):
        await bench.create(run(f"{name}-{number}", step("a", input=BIG)))
        jump(log_checkpoint.RETRY_AFTER)


async def test_a_log_that_a_reader_kept_long_is_cut_after_it_has_left(bench: Bench) -> None:
    with reader(bench.path):
        await write(bench, megabytes=60, name="blocked")
        assert log_size(bench) > 55_000_000
    await write(bench, megabytes=8, name="free")
    assert log_size(bench) <= LOG_LIMIT


async def test_checkpoints_that_could_not_copy_all_are_not_counted(bench: Bench) -> None:
    with reader(bench.path):
        await write(bench, megabytes=20, name="blocked")
        assert bench.store.statistics().checkpoints == 0
    await write(bench, megabytes=2, name="free")
    assert bench.store.statistics().checkpoints == 1


async def test_a_log_that_gets_too_long_is_reported_once_for_each_reader(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "trio_workflow"):
        for name in ("first", "second"):
            with reader(bench.path):
                await write(bench, megabytes=40, name=name)
                told = len(caplog.records)
                await write(bench, megabytes=40, name=f"{name}-more")
                assert len(caplog.records) == told + 1
            await write(bench, megabytes=8, name=f"{name}-free")
    assert len(caplog.records) == 2
    for record in caplog.records:
        assert record.levelname == "WARNING"
        assert f"{bench.path}-wal has 6" in record.getMessage()
        assert "no checkpoint could copy all of it" in record.getMessage()


async def test_a_short_log_is_reported_after_ten_minutes(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    with reader(bench.path), caplog.at_level(logging.WARNING, "trio_workflow"):
        await write(bench, megabytes=10, name="blocked")
        assert caplog.records == []
        jump(log_checkpoint.WARN_SECONDS)
        await write(bench, megabytes=2, name="later")
        assert len(caplog.records) == 1
        assert "for 6" in caplog.records[0].getMessage()


async def test_a_system_that_was_idle_reports_no_age(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    jump(10 * log_checkpoint.WARN_SECONDS)
    with reader(bench.path), caplog.at_level(logging.WARNING, "trio_workflow"):
        await write(bench, megabytes=10, name="blocked")
    assert caplog.records == []


async def test_a_checkpoint_that_fails_leaves_the_write_lock_free(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch is committed before it, and answered."""
    committer = bench.store._committer
    denied: list[str] = []

    def deny(action: int, name: str | None, *others: object) -> int:
        if action == sqlite3.SQLITE_PRAGMA and name == "wal_checkpoint":
            denied.append(name)
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    committer.ask_for_checkpoint()
    committer._conn.set_authorizer(deny)
    await bench.create(run("r", "a"))
    committer._conn.set_authorizer(None)
    assert denied
    with closing(sqlite3.connect(bench.path, timeout=0, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    await bench.create(run("later", "a"))
    assert await bench.run_status("r") == "pending"
