"""A store that cannot be written: locked, full, deleted or replaced."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import trio
from file_kit import content
from store_kit import Bench, open_bench, run
from trio.testing import wait_all_tasks_blocked

from trio_workflow.errors import StoreLostError, StoreUnavailableError
from trio_workflow.store.sqlite.transaction import Tx


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer waits for a lock in bites of some milliseconds."""
    monkeypatch.setattr("trio_workflow.store.sqlite.committer.LOCK_WAIT", 0.004)


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """Another process, as it seems, holds the write lock."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as rival:
        rival.execute("BEGIN IMMEDIATE")
        yield rival
        if rival.in_transaction:
            rival.execute("ROLLBACK")


async def wait_locked_out(bench: Bench, times: int) -> None:
    while bench.store.statistics().locked_out < times:
        await trio.lowlevel.checkpoint()


@pytest.mark.usefixtures("impatient")
async def test_a_locked_store_is_waited_for(bench: Bench) -> None:
    with locked(bench.path) as rival:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.create, run("r", "a"))
            nursery.start_soon(bench.create, run("s", "a"))
            await wait_locked_out(bench, 3)
            rival.execute("ROLLBACK")
    assert await bench.run_status("r") == "pending"
    assert await bench.run_status("s") == "pending"


async def test_a_locked_store_is_waited_for_in_a_thread(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "engine.db") as bench:
        with locked(bench.path) as rival:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(bench.create, run("r", "a"))
                await wait_locked_out(bench, 1)
                rival.execute("ROLLBACK")
        assert await bench.run_status("r") == "pending"


@pytest.mark.usefixtures("impatient")
async def test_a_store_locked_for_too_long_is_reported_to_all_who_wait(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trio_workflow.store.sqlite.committer.STUCK_AFTER", 3)
    told: list[str] = []

    async def create(run_id: str) -> None:
        with pytest.raises(StoreUnavailableError, match="has been locked for too long"):
            await bench.create(run(run_id, "a"))
        told.append(run_id)

    with locked(bench.path):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(create, "r")
            nursery.start_soon(create, "s")
    assert sorted(told) == ["r", "s"]
    await bench.create(run("r", "a"))
    assert await bench.store.reads.workflow("s") is None


@pytest.mark.usefixtures("impatient")
async def test_a_store_is_not_stuck_while_others_make_progress(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trio_workflow.store.sqlite.committer.STUCK_AFTER", 6)
    with locked(bench.path) as rival:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.create, run("r", "a"))
            for number in range(8):
                await wait_locked_out(bench, 2 * number + 2)
                rival.execute("INSERT INTO trash VALUES (?, ?)", (number, str(number)))
                rival.execute("COMMIT")
                rival.execute("BEGIN IMMEDIATE")
            rival.execute("ROLLBACK")
    assert await bench.run_status("r") == "pending"


@pytest.mark.parametrize("first", [True, False], ids=["the-leader", "a-follower"])
@pytest.mark.usefixtures("impatient")
async def test_one_who_is_cancelled_while_the_store_is_locked_leaves_and_the_rest_go_on(
    bench: Bench, first: bool
) -> None:
    gone = trio.CancelScope()

    async def leave() -> None:
        with gone:
            await bench.create(run("gone", "a"))

    with locked(bench.path) as rival:
        async with trio.open_nursery() as nursery:
            if first:
                nursery.start_soon(leave)
                await wait_locked_out(bench, 1)
            nursery.start_soon(bench.create, run("one", "a"))
            await wait_locked_out(bench, 2)
            if not first:
                nursery.start_soon(leave)
            nursery.start_soon(bench.create, run("two", "a"))
            await wait_locked_out(bench, 5)
            gone.cancel()
            await wait_locked_out(bench, 9)
            assert gone.cancelled_caught
            rival.execute("ROLLBACK")
    assert await bench.run_status("one") == "pending"
    assert await bench.run_status("two") == "pending"
    assert await bench.store.reads.workflow("gone") is None
    assert await bench.is_sound()


async def test_one_who_is_cancelled_while_a_thread_waits_for_the_lock_leaves_after_that_try(
    tmp_path: Path,
) -> None:
    gone, left = trio.CancelScope(), trio.Event()

    async def leave() -> None:
        with gone:
            await bench.create(run("gone", "a"))
        left.set()

    async with open_bench(tmp_path / "engine.db") as bench:
        with locked(bench.path) as rival, trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(bench.create, run("one", "a"))
                await wait_all_tasks_blocked()
                nursery.start_soon(leave)
                await wait_locked_out(bench, 1)
                await wait_all_tasks_blocked()  # both are taken, and the thread waits for the lock
                gone.cancel()
                await left.wait()
                assert gone.cancelled_caught
                rival.execute("ROLLBACK")
        assert await bench.run_status("one") == "pending"
        assert await bench.store.reads.workflow("gone") is None


async def test_readers_do_not_wait_for_a_writer(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    with locked(bench.path):
        assert await bench.run_status("r") == "pending"
        assert await bench.is_sound()


@pytest.mark.usefixtures("impatient")
async def test_a_batch_that_is_tried_one_by_one_is_told_when_the_store_is_stuck(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trio_workflow.store.sqlite.committer.STUCK_AFTER", 3)
    with closing(sqlite3.connect(bench.path, isolation_level=None)) as rival:

        def lose_the_lock(tx: Tx) -> None:
            tx.conn.execute("ROLLBACK")
            rival.execute("BEGIN IMMEDIATE")
            raise sqlite3.IntegrityError("broken")

        with pytest.raises(StoreUnavailableError, match="has been locked for too long"):
            await bench.store._writer.submit(lose_the_lock)
    await bench.create(run("r", "a"))


async def test_a_batch_that_is_tried_one_by_one_waits_for_the_lock_too(tmp_path: Path) -> None:
    async with open_bench(tmp_path / "engine.db") as bench:
        rival = sqlite3.connect(bench.path, isolation_level=None, check_same_thread=False)

        lost: list[Tx] = []

        def lose_the_lock(tx: Tx) -> None:
            """The first time it fails, and another process is quicker to take the lock."""
            lost.append(tx)
            if len(lost) == 1:
                tx.conn.execute("ROLLBACK")
                rival.execute("BEGIN IMMEDIATE")
                raise sqlite3.IntegrityError("broken")

        with closing(rival):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(bench.create, run("r", "a"))
                nursery.start_soon(bench.store._writer.submit, lose_the_lock)
                while not rival.in_transaction:
                    await trio.lowlevel.checkpoint()
                await wait_all_tasks_blocked(0.4)  # longer than SQLite waits for a lock
                rival.execute("ROLLBACK")
        assert await bench.run_status("r") == "pending"
        assert len(lost) == 2


async def test_on_a_full_disk_nothing_is_half_stored_and_it_goes_on_when_there_is_room(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    [pages] = bench.conn.execute("PRAGMA page_count").fetchone()
    [limit] = bench.conn.execute(f"PRAGMA max_page_count = {pages + 2}").fetchone()
    big = run("big", *(str(number) for number in range(2000)))
    with pytest.raises(StoreUnavailableError, match="cannot grow: the disk is full"):
        await bench.create(big)
    assert limit == pages + 2
    assert not bench.conn.in_transaction
    assert await bench.store.reads.workflow("big") is None
    assert bench.rows("SELECT count(*) FROM steps") == [(1,)]
    assert await bench.is_sound()
    bench.conn.execute("PRAGMA max_page_count = 1000000")
    await bench.create(big)
    assert len(await bench.claim(50)) == 50
    assert await bench.is_sound()


async def test_on_a_full_disk_what_still_fits_of_a_batch_is_stored(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    [pages] = bench.conn.execute("PRAGMA page_count").fetchone()
    bench.conn.execute(f"PRAGMA max_page_count = {pages + 2}")

    async def create_big() -> None:
        with pytest.raises(StoreUnavailableError):
            await bench.create(run("big", *(str(number) for number in range(2000))))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(create_big)
        nursery.start_soon(bench.create, run("small", "a"))
    assert await bench.run_status("small") == "pending"
    assert bench.rows("SELECT count(*) FROM steps") == [(2,)]


async def test_a_deleted_file_is_noticed(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    os.unlink(bench.path)
    for call in (lambda: bench.create(run("s", "a")), bench.store.poll):
        with pytest.raises(StoreLostError, match="was deleted while the runtime was using it"):
            await call()
    assert not bench.path.exists()


async def test_a_replaced_file_is_noticed_and_not_written(bench: Bench, tmp_path: Path) -> None:
    await bench.create(run("r", "a"))
    other = tmp_path / "other.db"
    async with open_bench(other):
        pass
    before = content(other)
    shutil.move(other, bench.path)
    with pytest.raises(StoreLostError, match="was replaced by another file"):
        await bench.create(run("s", "a"))
    assert content(bench.path) == before
