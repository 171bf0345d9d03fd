"""What a call leaves when it is over: no waiter, no interval, no lock, no connection, no open file."""

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trio
from artifact_kit import an_object, content, path_of
from store_kit import Bench, open_bench, run
from stories import define, opened, working
from thread_kit import open_files
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_workflow import Runtime, StepContext, executor
from trio_workflow.artifacts import FileArtifactStore
from trio_workflow.artifacts.bodies import PIECE, copy_body
from trio_workflow.errors import StoreError, StoreUnavailableError
from trio_workflow.offload import Offload
from trio_workflow.projections import SQLiteProjectionStore
from trio_workflow.projections import database as projection_database
from trio_workflow.runtime import autojump
from trio_workflow.runtime.runtime import engine_of
from trio_workflow.store.sqlite.connections import connect
from trio_workflow.testing.simulation.looks.leaks import leaks


@executor("noop")
async def noop(step: StepContext) -> None: ...


def waiting(rt: Runtime) -> tuple[list[str], int]:
    """The runs that are waited for, and by how many other processes' work is to be noticed."""
    engine = engine_of(rt)
    return engine.hub.awaited_runs, len(engine.poll_intervals)


# --- waits -----------------------------------------------------------------------------------------------


async def test_a_wait_that_returns_leaves_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        define(rt, noop)
        handle = await rt.start_run("p")
        async with working(rt):
            await handle.wait()
            await handle.wait()  # this one finds the run ended, and waits for nothing
            assert waiting(rt) == ([], 1)  # the interval of the workers
        assert waiting(rt) == ([], 0)


async def test_a_wait_that_is_cancelled_leaves_nothing_and_takes_nothing_from_others(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    ended: list[str] = []

    async def wait() -> None:
        ended.append((await handle.wait()).status)

    async with opened(tmp_path) as rt, trio.open_nursery() as nursery:
        define(rt, noop)
        handle = await rt.start_run("p")
        nursery.start_soon(wait)
        for _ in range(3):
            with trio.move_on_after(1):
                await handle.wait()
        assert waiting(rt) == ([handle.id], 1)
        async with working(rt):
            await wait_all_tasks_blocked()
        assert ended == ["succeeded"]
        assert waiting(rt) == ([], 0)


async def test_a_wait_that_fails_leaves_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        with pytest.raises(Exception, match='run "r" not found'):
            await rt.wait("r")
        assert waiting(rt) == ([], 0)


async def test_cycles_and_streams_leave_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        define(rt, noop)
        before = len(engine_of(rt)._enders)
        for _ in range(3):
            await rt.start_run("p")
            async with rt.events() as stream:
                await rt.run_once()
                await stream.receive()
        assert list(leaks(rt, {"Engine._enders": before, "Readers._idle": 3})) == []


# --- locks -----------------------------------------------------------------------------------------------


async def test_after_a_log_checkpoint_that_fails_others_can_write(tmp_path: Path) -> None:
    denied: list[str] = []

    def deny(action: int, subject: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_PRAGMA and subject == "wal_checkpoint":
            denied.append(subject)
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    async with open_bench(tmp_path / "engine.db") as bench:
        bench.conn.set_authorizer(deny)
        bench.store._committer.ask_for_checkpoint()
        await bench.create(run("r", "a"))
        assert denied  # the checkpoint was tried, and failed
        bench.conn.set_authorizer(None)
        with closing(sqlite3.connect(bench.path, timeout=0, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")
        await bench.create(run("s", "a"))
        assert await bench.run_status("s") == "pending"


async def test_after_a_projections_checkpoint_that_fails_others_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection_database, "WAL_LIMIT", 4096)
    store, denied = SQLiteProjectionStore(tmp_path), list[str]()
    projection = await store.projection("p")
    projection._database._checkpoint_at = 4096

    def deny(action: int, subject: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_PRAGMA and subject == "wal_checkpoint":
            denied.append(subject)
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_OK

    projection._database.open().set_authorizer(deny)
    await projection.execute("CREATE TABLE t (x)")
    for _ in range(4):
        await projection.execute("INSERT INTO t VALUES (zeroblob(20000))")
    assert len(denied) > 2
    with closing(sqlite3.connect(tmp_path / "p.db", timeout=0, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    # SQLite keeps the descriptor of a connection that was closed while another is open, and uses it again.
    assert open_files(tmp_path).count("p.db") <= 2
    await store.close()


async def test_the_log_of_a_projection_is_copied_when_it_is_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection_database, "WAL_LIMIT", 64 * 1024)
    store = SQLiteProjectionStore(tmp_path)
    projection = await store.projection("p")
    await projection.execute("CREATE TABLE t (x)")
    for _ in range(60):
        await projection.execute("INSERT INTO t VALUES (zeroblob(20000))")
    assert (tmp_path / "p.db-wal").stat().st_size < 60 * 20_000 / 4
    await store.close()


# --- reads -----------------------------------------------------------------------------------------------


async def test_a_read_sees_one_state_whatever_is_committed_meanwhile(bench: Bench) -> None:
    def count_twice(conn: sqlite3.Connection) -> list[int]:
        before = conn.execute("SELECT count(*) FROM runs").fetchone()[0]
        bench.rows("UPDATE runs SET name = 'other'")
        bench.rows("DELETE FROM runs")
        return [before, conn.execute("SELECT count(*) FROM runs").fetchone()[0]]

    await bench.create(run("r", "a"))
    assert await bench.store._readers.read(count_twice) == [1, 1]


async def test_a_read_cannot_write(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    with pytest.raises(StoreUnavailableError, match="read-only"):
        await bench.store._readers.read(lambda conn: conn.execute("DELETE FROM runs"))
    assert await bench.run_status("r") == "pending"


# --- open files ------------------------------------------------------------------------------------------


async def test_a_store_that_was_closed_has_no_file_open_and_no_log(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "engine.db") as bench:
        await bench.create(run("r", "a"))
        assert await bench.run_status("r") == "pending"
        assert await bench.is_sound()
        assert open_files(tmp_path) != []
    assert open_files(tmp_path) == []
    assert os.listdir(tmp_path) == ["engine.db"]


async def test_reads_that_fail_open_no_more_files(tmp_path: Path) -> None:
    def fail(conn: sqlite3.Connection) -> None:
        conn.execute("SELECT count(*) FROM runs").fetchone()
        raise sqlite3.OperationalError("the disk went away")

    async with open_bench(tmp_path / "engine.db") as bench:
        for number in range(4):
            with pytest.raises(StoreError, match="the disk went away"):
                await bench.store._readers.read(fail)
            if number == 0:
                before = open_files(tmp_path)
        assert open_files(tmp_path) == before
        # The state that a failed read has seen is not the one that the next read sees.
        await bench.create(run("r", "a"))
        assert await bench.run_status("r") == "pending"


async def test_a_projection_store_that_was_closed_has_no_file_open_and_no_log(tmp_path: Path) -> None:
    store = SQLiteProjectionStore(tmp_path)
    for name in ("one", "two"):
        await (await store.projection(name)).execute("CREATE TABLE t (x)")
    assert len(open_files(tmp_path)) > 1
    await store.close()
    assert open_files(tmp_path) == []
    assert sorted(os.listdir(tmp_path)) == ["one.db", "two.db"]


async def test_artifacts_leave_no_file_open(tmp_path: Path) -> None:
    store, source = FileArtifactStore(tmp_path / "root"), tmp_path / "source"
    source.write_bytes(b"x" * 10)

    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise RuntimeError("the body broke")

    ref = await store.put(an_object(source))
    assert await content(store, ref) == b"x" * 10
    with pytest.raises(RuntimeError, match="the body broke"):
        await store.put(an_object(broken()))
    with pytest.raises(ZeroDivisionError):
        async with store.open(ref):
            raise ZeroDivisionError
    path_of(ref).write_bytes(b"x" * 11)
    with pytest.raises(StoreError, match="has 11 bytes"):
        await content(store, ref)
    assert open_files(tmp_path) == []
    assert list((tmp_path / "root" / "tmp").iterdir()) == []


async def test_a_runtime_that_was_closed_has_no_file_open(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("makes")
    async def makes(step: StepContext) -> None:
        await step.store_artifact("a", "text/plain", b"x")
        await (await step.projection("p")).execute("CREATE TABLE IF NOT EXISTS t (x)")

    stores: dict[str, Any] = {
        "artifact_store": FileArtifactStore(tmp_path / "a"),
        "projection_store": SQLiteProjectionStore(tmp_path / "p"),
    }
    async with opened(tmp_path, **stores) as rt:
        define(rt, makes)
        handle = await rt.start_run("p")
        await rt.run_once()
        async with rt.open_artifact(handle.id, "s", "a") as reader:
            assert await reader.read() == b"x"
    assert open_files(tmp_path) == []


async def test_a_store_that_cannot_be_opened_has_no_file_open(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "engine.db") as bench:
        bench.rows("DROP TABLE runs")
    with pytest.raises(Exception, match="no such table"):
        async with open_bench(tmp_path / "engine.db"):
            pass
    assert open_files(tmp_path) == []


async def test_a_connection_that_could_not_be_set_up_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    path.write_bytes(b"dear diary" * 100)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        connect(str(path), synchronous="NORMAL")
    assert open_files(tmp_path) == []


# --- memory ----------------------------------------------------------------------------------------------


async def test_an_artifact_of_many_chunks_is_never_whole_in_memory() -> None:
    given, stored, most = 0, 0, 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal given, most
        for size in (1000, PIECE // 3, PIECE // 2, 3 * PIECE) * 10:
            given += size
            most = max(most, given - stored)
            yield bytes(size)

    async def sink(piece: bytes) -> None:
        nonlocal stored
        assert len(piece) <= PIECE
        stored += len(piece)
        await trio.lowlevel.checkpoint()

    await copy_body(body(), sink, Offload())
    assert stored == given
    assert most <= PIECE + 3 * PIECE  # a piece of ours, and the largest chunk


async def test_virtual_time_forgets_a_thread_that_has_ended(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("thread")
    def thread(step: StepContext) -> None: ...

    async with opened(tmp_path) as rt:
        define(rt, thread)
        for _ in range(3):
            await rt.start_run("p")
            await rt.run_once()
    assert autojump._hold()._hosts == {}
    assert autojump_clock.autojump_threshold == 0


async def test_a_body_that_changes_meanwhile_is_stored_as_it_was_hashed() -> None:
    body = bytearray(b"x" * 10)

    async def sink(piece: bytes) -> None:
        before = bytes(piece)
        body[:] = b"y" * 10
        await trio.lowlevel.checkpoint()
        assert bytes(piece) == before

    await copy_body(body, sink, Offload())
    assert body == b"y" * 10
