"""The database goes away under those who read or wait: no file is made in its place, the runtime ends."""

import math
import os
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest
import trio
from file_kit import content
from store_kit import Bench
from stories import config, define, opened, says
from test_lost_files import cut_in_half, deleted, deleted_with_its_log, emptied, hang, replaced
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_workflow import Runtime, RuntimeCrashedError, SQLiteStore, StoreError, StoreLostError, open_runtime
from trio_workflow.store.sqlite import connections
from trio_workflow.store.sqlite.connections import connect

Call = Callable[[Runtime], Awaitable[object]]


def replaced_by_another_program(path: Path) -> None:
    with closing(sqlite3.connect(path.with_name("other.db"))) as conn:
        conn.execute("PRAGMA journal_mode = WAL")
        conn.execute("CREATE TABLE t (x)")
        conn.commit()
    path.with_name("other.db").replace(path)


def deleted_with_its_folder(path: Path) -> None:
    for file in path.parent.iterdir():
        file.unlink()
    path.parent.rmdir()


HARMS: list[tuple[Callable[[Path], None], str]] = [
    (deleted, "was deleted while the runtime was using it"),
    (deleted_with_its_log, "was deleted while the runtime was using it"),
    (deleted_with_its_folder, "was deleted while the runtime was using it"),
    (replaced, "was replaced by another file while the runtime was using it"),
    (replaced_by_another_program, "was replaced by another file while the runtime was using it"),
    (cut_in_half, "was truncated while the runtime was using it"),
    (emptied, "was truncated while the runtime was using it"),
]
harms = pytest.mark.parametrize(("harm", "message"), HARMS, ids=[harm.__name__ for harm, _ in HARMS])

CALLS: dict[str, Call] = {
    "workflow": lambda rt: rt.workflow("r"),
    "runs": lambda rt: rt.runs(),
    "check": lambda rt: rt.check(),
    "queues": lambda rt: rt.queues(),
    "start": lambda rt: rt.start_run("p"),
    "cancel": lambda rt: rt.cancel_run("r"),
    "prune": lambda rt: rt.prune(0),
}


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Each file that is there: its mode and bytes. The index of a log is SQLite's to change."""
    there = folder.iterdir() if folder.exists() else ()
    return {file.name: (file.stat().st_mode, content(file)) for file in there if file.suffix != ".db-shm"}


async def lost_while_open(folder: Path, harm: Callable[[Path], None], call: Call, *, has_read: bool) -> None:
    """The first call after the harm is told of it; the block is ended by it, and nothing written."""
    before: dict[str, tuple[int, bytes]] = {}
    try:
        async with open_runtime(config(folder)) as rt:
            define(rt, hang)
            await rt.start_run("p", run_id="r")
            if has_read:
                await rt.workflow("r")
            harm(folder / "engine.db")
            before = files(folder)
            with pytest.raises(StoreLostError):
                await call(rt)
            await trio.sleep(1)
            raise AssertionError("it goes on")
    finally:
        assert files(folder) == before


@harms
@pytest.mark.parametrize("has_read", [False, True], ids=["reads-first", "has-read"])
async def test_a_read_notices_what_became_of_the_file_and_ends_the_runtime(
    tmp_path: Path, autojump_clock: MockClock, harm: Callable[[Path], None], message: str, has_read: bool
) -> None:
    folder = tmp_path / "own"
    told = f"the workflow engine cannot go on: workflow store {folder}/engine.db {message}"
    with pytest.raises(RuntimeCrashedError, match=says(told)) as crash:
        await lost_while_open(folder, harm, CALLS["workflow"], has_read=has_read)
    assert isinstance(crash.value.__cause__, StoreLostError)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_every_call_says_the_same_of_a_file_that_is_gone(
    tmp_path: Path, autojump_clock: MockClock, call: Call
) -> None:
    with pytest.raises(RuntimeCrashedError, match="was deleted"):
        await lost_while_open(tmp_path, deleted, call, has_read=True)


async def wait_until_lost(folder: Path, harm: Callable[[Path], None], poll: float, told: list[str]) -> None:
    """By the poll; or, where nobody polls, by the first who reads."""
    async with open_runtime(config(folder, poll_interval=poll)) as rt, trio.open_nursery() as nursery:
        define(rt, hang)
        handle = await rt.start_run("p", run_id="r")

        async def wait() -> None:
            with pytest.raises(RuntimeCrashedError) as crash:
                await handle.wait()
            told.append(str(crash.value))

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        harm(folder / "engine.db")
        await trio.sleep(2)
        await rt.wait("r")


@harms
@pytest.mark.parametrize("poll", [1.0, math.inf])
async def test_who_waits_for_a_run_is_told_of_the_crash(
    tmp_path: Path, autojump_clock: MockClock, harm: Callable[[Path], None], message: str, poll: float
) -> None:
    told: list[str] = []
    with pytest.raises(RuntimeCrashedError, match=message):
        await wait_until_lost(tmp_path / "own", harm, poll, told)
    assert [message in text for text in told] == [True]


async def test_after_a_deletion_the_next_start_makes_a_new_store_once_the_old_log_is_gone(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    log = tmp_path / "engine.db-wal"
    with pytest.raises(RuntimeCrashedError):
        await wait_until_lost(tmp_path, deleted, 1.0, [])
    left = content(log)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"engine.db is gone, and its log .*engine.db-wal is there"):
            async with opened(tmp_path):
                pass
        assert content(log) == left
        assert not (tmp_path / "engine.db").exists()
    log.unlink()
    async with opened(tmp_path) as rt:
        assert await rt.workflow("r") is None


async def read_what_is_deleted(folder: Path) -> None:
    async with open_runtime(config(folder)) as rt:
        deleted(folder / "engine.db")
        await rt.runs()


async def test_a_block_that_ends_with_what_the_call_raised_ends_with_the_crash(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    with pytest.raises(RuntimeCrashedError, match="was deleted") as crash:
        await read_what_is_deleted(tmp_path)
    assert isinstance(crash.value.__cause__, StoreLostError)


async def read_what_is_overwritten(folder: Path) -> None:
    async with open_runtime(config(folder)) as rt:
        replaced_by_another_program(folder / "new.db")
        with (folder / "new.db").open("rb") as new, (folder / "engine.db").open("r+b") as file:
            file.write(new.read())
        await rt.workflow("r")


async def test_a_file_that_was_overwritten_in_place_is_lost(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """The path leads to the same file: its tables are what is missing."""
    with pytest.raises(RuntimeCrashedError, match=r"lacks what it should hold \(no such table: runs\)"):
        await read_what_is_overwritten(tmp_path)


@harms
async def test_a_runtime_that_closes_before_it_has_noticed_leaves_what_is_there(
    tmp_path: Path, autojump_clock: MockClock, harm: Callable[[Path], None], message: str
) -> None:
    """The last connection to be closed copies the log into the file, and removes it."""
    before = {}
    async with open_runtime(config(tmp_path / "own")) as rt:
        define(rt, hang)
        await rt.start_run("p", run_id="r")
        harm(tmp_path / "own" / "engine.db")
        before = files(tmp_path / "own")
    assert files(tmp_path / "own") == before


async def test_a_file_that_is_replaced_while_a_reader_opens_it_is_not_read(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(path: str, *, synchronous: str) -> sqlite3.Connection:
        replaced(bench.path)
        return connect(path, synchronous=synchronous)

    monkeypatch.setattr(connections, "connect", late)
    with pytest.raises(StoreLostError, match="was replaced by another file"):
        await bench.store.reads.workflow("r")


async def test_what_became_of_the_file_is_told_rather_than_what_sqlite_met(bench: Bench) -> None:
    def meet(conn: sqlite3.Connection) -> None:
        emptied(bench.path)
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(StoreLostError, match="was truncated") as caught:
        await bench.store._readers.read(meet)
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)


def test_no_connection_makes_a_file(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        connect(str(tmp_path / "none.db"), synchronous="FULL")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "name",
    [b"what?mode=memory", b"a#b", b"100%41 sure", b"sp ace&x=y", "\u00fcn\u00ef.db".encode(), b"\xff\xfe.db"],
    ids=ascii,
)
async def test_a_path_may_hold_what_a_name_of_a_file_may(
    tmp_path: Path, autojump_clock: MockClock, name: bytes
) -> None:
    path = os.path.join(tmp_path, os.fsdecode(name))
    for _ in range(2):
        async with open_runtime(config(tmp_path, store=SQLiteStore(path, synchronous="OFF"))) as rt:
            define(rt, hang)
            await rt.start_run("p", run_id="r", if_exists="return")
            assert len(await rt.runs()) == 1
            assert os.listdir(os.fsencode(tmp_path))
    assert os.listdir(os.fsencode(tmp_path)) == [name]


def test_a_store_without_its_tables_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with open_runtime(config(tmp_path)):
            pass

    trio.run(main)
    with closing(sqlite3.connect(tmp_path / "engine.db")) as conn:
        conn.execute("DROP TABLE steps")
        conn.execute("DROP TABLE runs")
    with pytest.raises(StoreError, match="lacks what it should hold"):
        trio.run(main)
