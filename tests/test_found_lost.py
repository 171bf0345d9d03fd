"""Only what is certain ends an engine: what looks like a lost file, and is not, goes on or is waited for."""

import errno
import os
import sqlite3
import sys
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from file_kit import content
from store_kit import Bench, open_bench, run, step
from stories import config, define, opened

from trio_workflow import (
    QueueConfig,
    RuntimeCrashedError,
    StepContext,
    StoreLostError,
    StoreUnavailableError,
    executor,
    open_runtime,
)
from trio_workflow.sqlite.wal_frames import lacks_pages
from trio_workflow.store.sqlite.opening import open_file
from trio_workflow.store.sqlite.watch import Watch


@executor("work")
async def work(step: StepContext) -> None: ...


@contextmanager
def stat_fails(monkeypatch: pytest.MonkeyPatch, path: Path, number: int) -> Generator[None]:
    """Within the block a stat of that file raises that error, as the system may."""
    real = os.stat

    def stat(name: Any, *args: Any, **options: Any) -> os.stat_result:
        if str(name) == str(path):
            raise OSError(number, os.strerror(number), str(name))
        return real(name, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", stat)
        yield


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ENOMEM])
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
async def test_an_error_of_a_stat_is_no_proof_that_a_file_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, suffix: str
) -> None:
    async with opened(tmp_path) as rt:
        define(rt, work)
        with stat_fails(monkeypatch, tmp_path / f"engine.db{suffix}", number):
            for call in (rt.runs, lambda: rt.start_run("p")):
                with pytest.raises(StoreUnavailableError, match="cannot be inspected now"):
                    await call()
        await rt.start_run("p", run_id="r")
        assert [found.id for found in await rt.runs()] == ["r"]


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENOTDIR])
async def test_what_is_not_found_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    async def use() -> None:
        async with open_runtime(config(tmp_path)) as rt:
            with stat_fails(monkeypatch, tmp_path / "engine.db", number):
                await rt.runs()

    with pytest.raises(RuntimeCrashedError, match="was deleted"):
        await use()


async def test_a_size_that_another_thread_saw_later_does_not_make_a_file_truncated(bench: Bench) -> None:
    """Two threads look in turn, and one of them has seen a size that the log has not yet given back."""
    watch = Watch(str(bench.path))
    watch._size = 10 * bench.path.stat().st_size
    watch.look()
    assert watch.error is None
    watch.look()


def a_batch_that_shrinks(path: Path) -> tuple[bytes, bytes, bytes]:
    """A database, and it and its log after a commit that made it shorter and is only in the log."""
    with closing(open_file(str(path), "OFF")) as conn:
        conn.execute("CREATE TABLE filler (x)")
        conn.execute("INSERT INTO filler VALUES (zeroblob(1000000))")
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        before = content(path)
        conn.execute("DROP TABLE filler")
        for _ in range(300):
            conn.execute("PRAGMA incremental_vacuum(1)").fetchall()
        log = content(path.with_name(f"{path.name}-wal"))
        conn.execute("PRAGMA wal_checkpoint(PASSIVE)")
        return before, log, content(path)


def test_a_cut_that_reached_the_disk_before_its_first_page_is_made_good_by_the_log(tmp_path: Path) -> None:
    """A loss of power in a checkpoint that makes the file shorter."""
    before, log, after = a_batch_that_shrinks(tmp_path / "shrinking.db")
    assert len(after) < len(before) - 500_000
    path = tmp_path / "engine.db"
    path.write_bytes(before[: len(after)])  # the old pages, and as many as the new file has
    path.with_name("engine.db-wal").write_bytes(log)
    with closing(open_file(str(path), "OFF")) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert content(path)[:4096] == after[:4096]


def test_without_the_log_the_same_file_is_truncated(tmp_path: Path) -> None:
    before, _, after = a_batch_that_shrinks(tmp_path / "shrinking.db")
    path = tmp_path / "engine.db"
    path.write_bytes(before[: len(after)])
    with pytest.raises(Exception, match="is truncated"):
        open_file(str(path), "OFF")


def test_a_file_that_lags_behind_its_log_lacks_no_pages(tmp_path: Path) -> None:
    path = tmp_path / "engine.db"
    with closing(open_file(str(path), "OFF")) as conn:
        size = path.stat().st_size
        conn.execute("CREATE TABLE filler (x)")
        conn.execute("INSERT INTO filler VALUES (zeroblob(1000000))")
        assert path.stat().st_size == size
        assert not lacks_pages(str(path))
        os.truncate(path, size - 4096)  # a page that is not in the log
        assert lacks_pages(str(path))


NEWER = "PRAGMA user_version = 99"
TOLD = r"has schema 99, and this trio_workflow knows \d+: upgrade trio_workflow"


def alter(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        for statement in statements:
            conn.execute(statement)


async def start(rt: Any) -> None:
    await rt.start_run("p")


async def read(rt: Any) -> None:
    await rt.runs()


async def find_work(rt: Any) -> None:
    await rt.run_once()


CHANGES = [
    "ALTER TABLE runs RENAME COLUMN name TO title",
    "ALTER TABLE runs RENAME TO workflows",
    "ALTER TABLE runs ADD COLUMN origin TEXT NOT NULL DEFAULT ''",
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("call", [start, find_work])
async def test_whoever_writes_to_a_newer_schema_ends_and_names_both_versions(
    tmp_path: Path, change: str, call: Callable[[Any], Any]
) -> None:
    path = tmp_path / "engine.db"

    async def use() -> None:
        async with open_runtime(config(tmp_path)) as rt:
            define(rt, work)
            alter(path, change, NEWER)
            await call(rt)

    with pytest.raises(RuntimeCrashedError, match=TOLD) as caught:
        await use()
    assert isinstance(caught.value.__cause__, StoreLostError)
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("SELECT count(*) FROM steps").fetchone()[0] == 0


@pytest.mark.parametrize("change", CHANGES[:2])
async def test_whoever_reads_a_newer_schema_and_fails_names_both_versions(
    tmp_path: Path, change: str
) -> None:
    async def use() -> None:
        async with open_runtime(config(tmp_path)) as rt:
            define(rt, work)
            await rt.start_run("p")
            alter(tmp_path / "engine.db", change, NEWER)
            await rt.runs()

    with pytest.raises(RuntimeCrashedError, match=TOLD):
        await use()


async def test_a_commit_whose_log_loses_its_name_meanwhile_is_not_acknowledged(bench: Bench) -> None:
    committer = bench.store._committer
    real = committer._commit

    def commit(tx: Any) -> None:
        real(tx)
        bench.path.with_name(f"{bench.path.name}-wal").unlink()

    committer._commit = commit  # type: ignore[method-assign]  # the fault comes inside of it
    with pytest.raises(StoreLostError, match="lost its write-ahead log"):
        await bench.create(run("r", "a"))
    assert bench.store.take_changes() == []


async def test_threads_that_read_while_others_write_and_shrink_find_nothing_lost(tmp_path: Path) -> None:
    """Real threads, as many switches as the interpreter can make, a file that grows and shrinks."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        async with opened(tmp_path, max_workers=8, default_queue=QueueConfig(8)) as rt:
            define(rt, work)

            async def client(number: int) -> None:
                for turn in range(20):
                    run_id = f"{number}-{turn}"
                    handle = await rt.start_run("p", "x" * 200_000, run_id=run_id)
                    await handle.wait()
                    await rt.delete_run(run_id)

            async with trio.open_nursery() as workers:
                await workers.start(rt.start_workers)
                async with trio.open_nursery() as clients:
                    for number in range(16):
                        clients.start_soon(client, number)
                workers.cancel_scope.cancel()
    finally:
        sys.setswitchinterval(interval)


async def test_the_log_of_a_store_behind_a_link_is_measured(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link.db").symlink_to(tmp_path / "data" / "engine.db")
    with closing(open_file(str(tmp_path / "data" / "engine.db"), "OFF")):
        pass
    async with open_bench(tmp_path / "link.db") as bench:
        for number in range(6):
            await bench.create(run(f"r{number}", step("a", input=f'"{"x" * 2_000_000}"')))
        assert bench.store.statistics().checkpoints == 1


async def test_a_store_is_found_behind_a_link_by_another_name(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "data" / "engine.db") as first:
        (tmp_path / "link.db").symlink_to(first.path)
        async with open_bench(tmp_path / "link.db") as second:
            await second.create(run("r", "a"))
            assert sorted(os.listdir(tmp_path)) == ["data", "link.db"]
        assert await first.run_status("r") == "pending"
