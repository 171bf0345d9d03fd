"""Another connection's lock on a projection is waited for on the event loop."""

import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import projection_kit
import pytest
import trio
from projection_kit import amounts
from trio.testing import MockClock

from trio_workflow import Package, QueueConfig, RunBuilder, Runtime, SQLiteStore, StepContext
from trio_workflow.projections import Projection, SQLiteProjectionStore
from trio_workflow.testing import open_test_runtime, run_until_idle

# The fixtures
store = projection_kit.store
sales = projection_kit.sales


@pytest.fixture
def other(sales: Projection, tmp_path: Path) -> Generator[sqlite3.Connection]:
    """Another process's connection, which holds the lock."""
    with closing(sqlite3.connect(tmp_path / "projections" / "sales.db", isolation_level=None)) as conn:
        conn.execute("BEGIN IMMEDIATE")
        yield conn


@pytest.fixture
async def impatient(sales: Projection, tmp_path: Path) -> AsyncGenerator[Projection]:
    """The same projection, by a store that waits for two seconds."""
    store = SQLiteProjectionStore(tmp_path / "projections", busy_timeout=2.0)
    yield await store.projection("sales")
    await store.close()


async def insert(projection: Projection) -> None:
    await projection.execute("INSERT INTO sale (amount) VALUES (1)")


async def insert_many(projection: Projection) -> None:
    await projection.execute_many("INSERT INTO sale (amount) VALUES (?)", [(1,)])


async def insert_in_a_transaction(projection: Projection) -> None:
    async with projection.transaction() as tx:
        await tx.execute("INSERT INTO sale (amount) VALUES (1)")


Write = Callable[[Projection], Awaitable[None]]
WRITES = [insert, insert_many, insert_in_a_transaction]


@pytest.mark.parametrize("write", WRITES)
async def test_a_write_waits_for_the_lock(
    sales: Projection, other: sqlite3.Connection, write: Write, autojump_clock: MockClock
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(write, sales)
        await trio.sleep(9)
        assert other.execute("SELECT * FROM sale").fetchall() == []
        other.execute("ROLLBACK")
    assert trio.current_time() < 9.1
    assert await amounts(sales) == [1]


@pytest.mark.parametrize("write", WRITES)
async def test_a_lock_held_past_the_busy_timeout_is_told_and_nothing_is_written(
    impatient: Projection, other: sqlite3.Connection, write: Write, autojump_clock: MockClock
) -> None:
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        await write(impatient)
    assert 2.0 <= trio.current_time() < 2.1
    other.execute("ROLLBACK")
    await write(impatient)
    assert await amounts(impatient) == [1]


@pytest.mark.parametrize("write", WRITES)
async def test_who_waits_for_the_lock_can_be_cancelled(
    sales: Projection, other: sqlite3.Connection, write: Write, autojump_clock: MockClock
) -> None:
    with trio.move_on_after(0.5) as scope:
        await write(sales)
    assert scope.cancelled_caught
    assert trio.current_time() == 0.5
    other.execute("ROLLBACK")
    assert await amounts(sales) == []


async def test_a_new_file_that_another_is_making_is_waited_for(
    store: SQLiteProjectionStore, tmp_path: Path, autojump_clock: MockClock
) -> None:
    (tmp_path / "projections").mkdir(exist_ok=True)
    with closing(sqlite3.connect(tmp_path / "projections" / "new.db", isolation_level=None)) as other:
        other.execute("CREATE TABLE t (x)")
        # SQLite refuses to change the journal mode under such a lock at once, whatever its timeout.
        other.execute("BEGIN IMMEDIATE")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.projection, "new")
            await trio.sleep(9)
            other.execute("ROLLBACK")
        new = await store.projection("new")
        assert await new.query("PRAGMA journal_mode") == [{"journal_mode": "wal"}]


async def test_two_runtimes_of_one_program_write_one_projection(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    package = Package("p")

    @package.entrypoint
    def start(run: RunBuilder) -> None:
        for number in range(4):
            run.step(f"{number}", number, kind="write")

    @package.executor("write")
    async def write(step: StepContext, number: int) -> None:
        rows = await step.projection("rows")
        async with rows.transaction() as tx:
            await tx.execute("CREATE TABLE IF NOT EXISTS rows (number)")
            await trio.sleep(1)
            await tx.execute("INSERT INTO rows VALUES (?)", number)

    def a_runtime() -> AbstractAsyncContextManager[Runtime]:
        return open_test_runtime(
            store=SQLiteStore(tmp_path / "engine.db", synchronous="OFF"),
            projection_store=SQLiteProjectionStore(tmp_path / "projections"),
            default_queue=QueueConfig(max_workers=4),
            max_workers=2,
        )

    async with a_runtime() as one, a_runtime() as two:
        one.register_package(package)
        two.register_package(package)
        await one.start_run("p", run_id="r")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_until_idle, one)
            nursery.start_soon(run_until_idle, two)
        run = await one.wait("r")
        assert run.status == "succeeded"
        rows = await one.projection("rows")
        assert [row["number"] for row in await rows.query("SELECT * FROM rows ORDER BY 1")] == [0, 1, 2, 3]
