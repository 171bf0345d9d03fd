"""The database is deleted, replaced, cut or spoilt under workers: they end, and write nothing any more."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import trio
from file_kit import content
from log_kit import PAGE, both, leave
from stories import config, define
from trio.testing import MockClock

from trio_workflow import (
    RuntimeCrashedError,
    StepContext,
    StoreLostError,
    executor,
    open_runtime,
)

LEASE = 30.0


def deleted(path: Path) -> None:
    path.unlink()


def deleted_with_its_log(path: Path) -> None:
    path.unlink()
    path.with_name(f"{path.name}-wal").unlink()


def replaced(path: Path) -> None:
    """By a backup of itself, say."""
    copy = path.with_name("backup.db")
    copy.write_bytes(content(path))
    copy.replace(path)


def replaced_with_its_log(path: Path) -> None:
    database, log = both(path)
    replaced(path)
    leave(path, content(path), log)
    assert both(path) == (database, log)


def without_its_log(path: Path) -> None:
    path.with_name(f"{path.name}-wal").unlink()


def with_another_log(path: Path) -> None:
    log = path.with_name(f"{path.name}-wal")
    copy = path.with_name("copy-wal")
    copy.write_bytes(log.read_bytes())
    copy.replace(log)


def without_its_index(path: Path) -> None:
    path.with_name(f"{path.name}-shm").unlink()


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_by_a_page(path: Path) -> None:
    os.truncate(path, path.stat().st_size - PAGE)


def emptied(path: Path) -> None:
    os.truncate(path, 0)


def spoilt(path: Path) -> None:
    """All but its first page."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(PAGE)
        file.write(b"\x77" * (size - PAGE))


HARMS: list[tuple[Callable[[Path], None], str]] = [
    (deleted, "was deleted while the runtime was using it"),
    (deleted_with_its_log, "was deleted while the runtime was using it"),
    (replaced, "was replaced by another file while the runtime was using it"),
    (replaced_with_its_log, "was replaced by another file while the runtime was using it"),
    (without_its_log, r"lost its write-ahead log \(.*engine.db-wal was removed\) while the runtime"),
    (with_another_log, r"lost its write-ahead log \(.*engine.db-wal was replaced by another file\)"),
    (without_its_index, r"lost its write-ahead log \(.*engine.db-shm was removed\) while the runtime"),
    (cut_in_half, "was truncated while the runtime was using it"),
    (cut_by_a_page, "was truncated while the runtime was using it"),
    (emptied, "was truncated while the runtime was using it"),
]


@executor("hang")
async def hang(step: StepContext) -> None:
    await trio.sleep_forever()


async def work_until_lost(folder: Path, harm: Callable[[Path], None]) -> None:
    """A worker whose database is harmed between two renewals is ended by the next, and nothing is written."""
    path = folder / "engine.db"
    before, harmed_at = (b"", b""), 0.0
    try:
        async with open_runtime(config(folder, lease_duration=LEASE)) as rt, trio.open_nursery() as nursery:
            define(rt, hang)
            await nursery.start(rt.start_workers)
            await rt.start_run("p")
            await rt.start_run("p")
            await trio.sleep(LEASE / 2)
            assert rt.statistics().running == 1
            harm(path)
            before, harmed_at = both(path), trio.current_time()
            await trio.sleep(1000)
            raise AssertionError("it goes on")
    finally:
        assert trio.current_time() - harmed_at <= LEASE / 3
        assert both(path) == before


@pytest.mark.parametrize(("harm", "message"), HARMS, ids=[harm.__name__ for harm, _ in HARMS])
async def test_a_worker_whose_database_is_lost_ends_and_writes_nothing_more(
    tmp_path: Path, autojump_clock: MockClock, harm: Callable[[Path], None], message: str
) -> None:
    with pytest.raises(RuntimeCrashedError, match=message) as caught:
        await work_until_lost(tmp_path, harm)
    assert isinstance(caught.value.__cause__, StoreLostError)


async def read_what_is_spoilt(folder: Path) -> None:
    """The writer knows by heart what it would need: a read has to find the damage."""
    path = folder / "engine.db"
    before = b"", b""
    try:
        async with open_runtime(config(folder)) as rt, trio.open_nursery() as nursery:
            define(rt, hang)
            await nursery.start(rt.start_workers)
            await trio.sleep(1)
            spoilt(path)
            with pytest.raises(StoreLostError, match="is damaged"):
                await rt.workflow("r")
            before = both(path)
            with pytest.raises(RuntimeCrashedError, match="is damaged"):
                await rt.start_run("p")
            await trio.sleep(1000)
            raise AssertionError("it goes on")
    finally:
        assert both(path) == before


async def test_damage_that_a_read_finds_ends_the_worker_too(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with open_runtime(config(tmp_path)) as rt:
        define(rt, hang)
        await rt.start_run("p", run_id="r")
    with pytest.raises(RuntimeCrashedError, match="is damaged"):
        await read_what_is_spoilt(tmp_path)


async def test_a_file_that_others_make_smaller_in_order_is_not_lost(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """VACUUM, and the checkpoint after it, by another process."""
    path = tmp_path / "engine.db"
    async with open_runtime(config(tmp_path)) as rt:
        define(rt, hang)
        await rt.start_run("p", "x" * 1_000_000, run_id="r")
    async with open_runtime(config(tmp_path)) as rt:
        define(rt, hang)
        await rt.cancel_run("r")
        await rt.delete_run("r")
        await rt.prune(0)
        size = path.stat().st_size
        vacuum(path)
        assert path.stat().st_size < size
        await rt.start_run("p")
        assert await rt.check() == []


def vacuum(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("VACUUM")
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
