"""Durable calls: a batch of their own, flushed with all that was committed before, in the order of the line.

Whether SQLite flushes is its own business: these tests see the level at which it commits.
"""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import trio
from store_kit import Bench, run
from test_delete_verb import ended
from test_group_commit import marks, trash
from trio.testing import wait_all_tasks_blocked

from trio_workflow.clock import current_clock
from trio_workflow.errors import StoreError
from trio_workflow.store import SQLiteStore
from trio_workflow.store.sqlite.store import OpenSQLiteStore
from trio_workflow.store.sqlite.transaction import Tx
from trio_workflow.store.sqlite.writer import RENEWAL

OFF, NORMAL, FULL = 0, 1, 2
"""What PRAGMA synchronous returns."""


@asynccontextmanager
async def opened(path: Path, synchronous: str) -> AsyncIterator[Bench]:
    async with SQLiteStore(path, synchronous=synchronous).open(current_clock()) as store:
        yield Bench(cast(OpenSQLiteStore, store), path)


def level(conn: sqlite3.Connection) -> int:
    found: int = conn.execute("PRAGMA synchronous").fetchone()[0]
    return found


@pytest.mark.parametrize(
    ("synchronous", "durable", "plain"), [("NORMAL", FULL, NORMAL), ("FULL", FULL, FULL), ("OFF", OFF, OFF)]
)
async def test_a_durable_call_is_committed_at_full_unless_nothing_is_promised(
    tmp_path: Path, autojump_clock: object, synchronous: str, durable: int, plain: int
) -> None:
    seen: list[int] = []

    def look(tx: Tx) -> None:
        seen.append(level(tx.conn))

    async with opened(tmp_path / "engine.db", synchronous) as bench:
        writer = bench.store._writer
        for is_durable in (False, True, False, True):
            await writer.submit(look, durable=is_durable)
        assert seen == [plain, durable, plain, durable]
        assert level(bench.conn) == plain


async def test_the_release_of_artifacts_is_durable_and_the_level_is_set_around_its_transaction(
    tmp_path: Path, autojump_clock: object
) -> None:
    """`synchronous` cannot be changed inside a transaction: SQLite ignores it, or raises."""
    said: list[str] = []
    async with opened(tmp_path / "engine.db", "NORMAL") as bench:
        await ended(bench)
        await bench.store.delete_run("r")
        bench.conn.set_trace_callback(said.append)
        assert await bench.store.release_artifacts()
        bench.conn.set_trace_callback(None)
    frame = [sql for sql in said if sql.startswith(("PRAGMA sync", "BEGIN", "COMMIT"))]
    assert frame == ["PRAGMA synchronous = FULL", "BEGIN IMMEDIATE", "COMMIT", "PRAGMA synchronous = NORMAL"]
    inside = said[said.index("BEGIN IMMEDIATE") : said.index("COMMIT")]
    assert any(sql.startswith("INSERT INTO artifact_removals") for sql in inside)
    assert any(sql.startswith("DELETE FROM artifacts") for sql in inside)


async def test_only_a_durable_transaction_makes_removals(tmp_path: Path, autojump_clock: object) -> None:
    async with opened(tmp_path / "engine.db", "NORMAL") as bench:
        levels: list[int] = []

        def note() -> int:
            levels.append(level(bench.conn))
            return 0

        bench.conn.create_function("note", 0, note)
        bench.conn.execute(
            "CREATE TEMP TRIGGER seen AFTER INSERT ON artifact_removals BEGIN SELECT note(); END"
        )
        await ended(bench)
        await bench.store.delete_run("r")
        while await bench.store.release_artifacts():
            pass
        await bench.store.purge()
        assert levels == [FULL] * 3


async def test_the_level_is_restored_when_a_durable_call_fails(
    tmp_path: Path, autojump_clock: object
) -> None:
    def broken(tx: Tx) -> None:
        trash(7)(tx)
        tx.run("into_trash", {"run_key": 7, "id": "7"})

    async with opened(tmp_path / "engine.db", "NORMAL") as bench:
        with pytest.raises(StoreError):
            await bench.store._writer.submit(broken, durable=True)
        assert level(bench.conn) == NORMAL
        await bench.store._writer.submit(trash(1))
        assert marks(bench) == [1]


async def test_the_level_is_restored_when_the_store_is_locked(tmp_path: Path, autojump_clock: object) -> None:
    async with opened(tmp_path / "engine.db", "NORMAL") as bench:
        rival = sqlite3.connect(bench.path, isolation_level=None)
        rival.execute("BEGIN IMMEDIATE")
        levels: list[int] = []

        async def release() -> None:
            while not levels:
                await trio.lowlevel.checkpoint()
                if bench.store.statistics().locked_out:
                    levels.append(level(bench.conn))
                    rival.execute("ROLLBACK")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(release)
            await bench.store._writer.submit(trash(1), durable=True)
        rival.close()
        assert levels == [NORMAL]
        assert marks(bench) == [1]


async def test_durable_calls_are_a_batch_of_their_own_in_the_order_of_the_line(bench: Bench) -> None:
    order: list[tuple[int, Tx]] = []
    writer = bench.store._writer

    def noted(number: int) -> Callable[[Tx], None]:
        def verb(tx: Tx) -> None:
            trash(number)(tx)
            order.append((number, tx))

        return verb

    async def submit(number: int, durable: bool) -> None:
        await writer.submit(noted(number), durable=durable)

    async with trio.open_nursery() as nursery:
        writer._is_led = True  # until all stand in line
        for number, durable in enumerate([False, False, True, True, False, True, False]):
            nursery.start_soon(submit, number, durable)
            await wait_all_tasks_blocked()
        writer._hand_over()
    assert [number for number, _ in order] == list(range(7))
    transactions = [id(tx) for _, tx in order]
    assert [transactions.index(tx) for tx in transactions] == [0, 0, 2, 2, 4, 5, 6]
    assert bench.store.statistics().commits == 5
    assert bench.store.statistics().largest_batch == 2


async def test_a_renewal_goes_first_within_its_batch_only(bench: Bench) -> None:
    order: list[str] = []
    writer = bench.store._writer

    async def submit(name: str, rank: int | None, durable: bool) -> None:
        options: dict[str, Any] = {} if rank is None else {"rank": rank}
        await writer.submit(lambda tx: order.append(name), durable=durable, **options)

    async with trio.open_nursery() as nursery:
        writer._is_led = True
        calls = [("durable", None, True), ("call", None, False), ("renewal", RENEWAL, False)]
        for name, rank, durable in calls:
            nursery.start_soon(submit, name, rank, durable)
            await wait_all_tasks_blocked()
        writer._hand_over()
    assert order == ["durable", "renewal", "call"]


async def test_a_leader_that_is_cancelled_before_its_own_batch_leaves_and_hands_over(bench: Bench) -> None:
    """It leads the batch before its own, is cancelled meanwhile, and its own call never happens."""
    writer = bench.store._writer
    scope = trio.CancelScope()

    async def submit(number: int, durable: bool, within: trio.CancelScope) -> None:
        with within:
            await writer.submit(trash(number), durable=durable)

    def cancel(tx: Tx) -> int:
        scope.cancel()
        return trash(1)(tx)

    async with trio.open_nursery() as nursery:
        writer._is_led = True
        nursery.start_soon(writer.submit, cancel)
        await wait_all_tasks_blocked()
        nursery.start_soon(lambda: submit(2, True, scope))
        await wait_all_tasks_blocked()
        nursery.start_soon(lambda: submit(3, False, trio.CancelScope()))
        await wait_all_tasks_blocked()
        # The second in line is made to lead: as when the first is cancelled at the moment it would lead.
        leader = writer._line[1].task
        assert leader is not None
        writer._line[1].task = None
        trio.lowlevel.reschedule(leader)
    assert scope.cancelled_caught
    assert marks(bench) == [1, 3]
    assert writer._line == []
    assert not writer._is_led


async def test_neither_kind_of_call_keeps_the_other_waiting(bench: Bench) -> None:
    """While calls of one kind keep coming, one of the other kind is done with the next batch but one."""
    writer = bench.store._writer
    for durable in (True, False):
        done = trio.Event()
        count = 0

        async def flood(durable: bool = durable, done: trio.Event = done) -> None:
            nonlocal count
            while not done.is_set():
                await writer.submit(lambda tx: None, durable=durable)
                count += 1
                assert count < 100

        async def other(durable: bool = durable, done: trio.Event = done) -> None:
            await writer.submit(lambda tx: None, durable=not durable)
            done.set()

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(flood)
            nursery.start_soon(other)


async def test_durable_calls_and_others_side_by_side_leave_a_sound_store(
    tmp_path: Path, autojump_clock: object
) -> None:
    async with opened(tmp_path / "engine.db", "NORMAL") as bench:

        async def live(number: int) -> None:
            await bench.create(run(f"r{number}", "a"))
            await bench.finish()
            await bench.store.delete_run(f"r{number}")
            while await bench.store.release_artifacts():
                pass

        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(live, number)
        assert await bench.is_sound()
