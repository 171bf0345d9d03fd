"""SQLiteProjectionStore: transactions, turns, and what goes wrong in them; time and the WAL."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import projection_kit
import pytest
import trio
from file_kit import content
from projection_kit import amounts
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_workflow.errors import StoreLostError, WorkflowError
from trio_workflow.projections import Projection, SQLiteProjectionStore
from trio_workflow.projections.database import WAL_LIMIT, Database

# The fixtures
store = projection_kit.store
sales = projection_kit.sales


# --- transactions ----------------------------------------------------------------------------------------


async def test_a_transaction_is_kept_when_its_block_ends_and_undone_when_it_raises(sales: Projection) -> None:
    async with sales.transaction() as tx:
        assert await tx.execute("INSERT INTO sale (amount) VALUES (?)", 1) == 1
        assert await tx.query("SELECT amount FROM sale") == [{"amount": 1}]
    with pytest.raises(KeyError):  # noqa: PT012 - it is the block
        async with sales.transaction() as tx:
            await tx.execute("INSERT INTO sale (amount) VALUES (2)")
            raise KeyError
    assert await amounts(sales) == [1]


async def test_a_cancelled_transaction_is_undone(sales: Projection) -> None:
    inside = trio.Event()

    async def sell() -> None:
        async with sales.transaction() as tx:
            await tx.execute("INSERT INTO sale (amount) VALUES (1)")
            inside.set()
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(sell)
        await inside.wait()
        nursery.cancel_scope.cancel()
    assert await amounts(sales) == []


async def test_a_block_that_ends_under_cancellation_is_undone(sales: Projection) -> None:
    with trio.CancelScope() as scope:
        async with sales.transaction() as tx:
            await tx.execute("INSERT INTO sale (amount) VALUES (1)")
            scope.cancel()
    assert scope.cancelled_caught
    assert await amounts(sales) == []


async def test_while_one_has_a_transaction_others_wait_in_line(
    sales: Projection, mock_clock: MockClock
) -> None:
    log: list[object] = []

    async def write(amount: int) -> None:
        await sales.execute("INSERT INTO sale (amount) VALUES (?)", amount)
        log.append(amount)

    async def read() -> None:
        log.append(await amounts(sales))

    async def transact() -> None:
        async with sales.transaction() as tx:
            await tx.execute("UPDATE sale SET amount = amount + 100")
            await trio.lowlevel.checkpoint()
        log.append("transaction")

    async with trio.open_nursery() as nursery, sales.transaction() as tx:
        await tx.execute("INSERT INTO sale (amount) VALUES (1)")
        for waiter in (lambda: write(2), read, transact, read):
            nursery.start_soon(waiter)
            await wait_all_tasks_blocked()
        assert log == []
        await tx.execute("INSERT INTO sale (amount) VALUES (3)")
        await wait_all_tasks_blocked()
        assert log == []
    assert log == [2, [1, 3, 2], "transaction", [101, 103, 102]]


async def test_projections_do_not_wait_for_each_other(
    store: SQLiteProjectionStore, sales: Projection
) -> None:
    other = await store.projection("other")
    async with sales.transaction(), other.transaction() as tx:
        await tx.execute("CREATE TABLE t (x)")
        assert await store.projection("sales") is sales


async def test_a_task_that_would_wait_for_its_own_transaction_is_told(
    store: SQLiteProjectionStore, sales: Projection
) -> None:
    async with sales.transaction() as tx:
        for call in (lambda: sales.execute("SELECT 1"), lambda: sales.query("SELECT 1"), store.close):
            with pytest.raises(WorkflowError, match="this task is in a transaction of projection 'sales'"):
                await call()
        with pytest.raises(WorkflowError, match="this task is in a transaction"):
            await sales.execute_many("INSERT INTO sale (amount) VALUES (?)", [(1,)])
        with pytest.raises(WorkflowError, match="this task is in a transaction"):
            async with sales.transaction():
                pass
        await tx.execute("INSERT INTO sale (amount) VALUES (2)")
    assert await amounts(sales) == [2]


async def test_a_transaction_cannot_be_used_after_its_block(sales: Projection) -> None:
    async with sales.transaction() as tx:
        pass
    for call in (tx.execute, tx.query):
        with pytest.raises(WorkflowError, match="after its block"):
            await call("INSERT INTO sale (amount) VALUES (1)")
    with pytest.raises(WorkflowError, match="after its block"):
        await tx.execute_many("INSERT INTO sale (amount) VALUES (?)", [(1,)])
    assert await amounts(sales) == []


async def test_tasks_of_a_block_may_share_its_transaction(sales: Projection) -> None:
    async with sales.transaction() as tx, trio.open_nursery() as nursery:
        for amount in range(10):
            nursery.start_soon(tx.execute, "INSERT INTO sale (amount) VALUES (?)", amount)
    assert sorted(await amounts(sales)) == list(range(10))


@pytest.mark.parametrize("sql", ["COMMIT", "ROLLBACK", "END"])
async def test_sql_that_ends_the_transaction_is_refused_and_so_is_what_follows(
    sales: Projection, sql: str
) -> None:
    with pytest.raises(WorkflowError, match="the transaction has ended"):  # noqa: PT012 - it is the block
        async with sales.transaction() as tx:
            with pytest.raises(WorkflowError, match="the SQL ended the transaction"):
                await tx.execute(sql)
            with pytest.raises(WorkflowError, match="the transaction has ended"):
                await tx.execute("INSERT INTO sale (amount) VALUES (1)")
    assert await amounts(sales) == []


async def test_after_an_error_that_ended_the_transaction_nothing_more_is_stored(sales: Projection) -> None:
    with pytest.raises(WorkflowError, match="the transaction has ended"):  # noqa: PT012 - it is the block
        async with sales.transaction() as tx:
            await tx.execute("INSERT INTO sale VALUES (1, 1)")
            with pytest.raises(sqlite3.IntegrityError):
                await tx.execute("INSERT OR ROLLBACK INTO sale VALUES (1, 2)")
            with pytest.raises(WorkflowError, match="the transaction has ended"):
                await tx.execute("INSERT INTO sale VALUES (2, 2)")
    assert await amounts(sales) == []


async def test_an_error_that_is_caught_in_the_block_costs_only_its_statement(sales: Projection) -> None:
    async with sales.transaction() as tx:
        await tx.execute("INSERT INTO sale VALUES (1, 1)")
        with pytest.raises(sqlite3.IntegrityError):
            await tx.execute("INSERT INTO sale VALUES (2, 2), (1, 3)")
        await tx.execute("SAVEPOINT mine")
        await tx.execute("INSERT INTO sale VALUES (4, 4)")
        await tx.execute("ROLLBACK TO mine")
    assert await amounts(sales) == [1]


async def test_a_commit_that_is_refused_undoes_the_transaction(sales: Projection) -> None:
    await sales.execute("CREATE TABLE item (sale INTEGER REFERENCES sale DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(sqlite3.IntegrityError):
        async with sales.transaction() as tx:
            await tx.execute("INSERT INTO item VALUES (99)")
    assert await sales.query("SELECT * FROM item") == []


# --- time and the WAL ------------------------------------------------------------------------------------


async def test_under_a_mock_clock_time_stands_still_while_the_database_works(
    sales: Projection, autojump_clock: MockClock
) -> None:
    start = trio.current_time()
    with trio.fail_after(60):
        for _ in range(20):
            async with sales.transaction() as tx:
                await tx.execute_many("INSERT INTO sale (amount) VALUES (?)", [(n,) for n in range(500)])
            await sales.query("SELECT sum(amount) AS total FROM sale")
    assert trio.current_time() == start


async def test_the_wal_is_copied_when_it_passes_its_limit(sales: Projection, tmp_path: Path) -> None:
    wal = tmp_path / "projections" / "sales.db-wal"
    await sales.execute("CREATE TABLE page (body)")
    sizes: list[int] = []
    for _ in range(24):
        await sales.execute("INSERT INTO page VALUES (zeroblob(1024 * 1024))")
        sizes.append(wal.stat().st_size)
    assert max(sizes) < 2 * WAL_LIMIT
    assert (tmp_path / "projections" / "sales.db").stat().st_size > 3 * WAL_LIMIT


def test_the_wal_is_not_copied_while_another_connection_may_commit(tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    one = Database(path)
    conn = one.open()
    conn.execute("CREATE TABLE t (x)")
    conn.execute("INSERT INTO t VALUES (zeroblob(100000))")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        one._checkpoint(conn)
        assert path.stat().st_size < 100_000
        other.execute("ROLLBACK")
    one._checkpoint(conn)
    assert path.stat().st_size > 100_000
    one.close()


async def test_no_connection_checkpoints_by_itself(sales: Projection) -> None:
    assert await sales.query("PRAGMA wal_autocheckpoint") == [{"wal_autocheckpoint": 0}]
    assert await sales.query("PRAGMA journal_mode") == [{"journal_mode": "wal"}]


def removed_log(path: Path) -> None:
    path.with_name(f"{path.name}-wal").unlink()


def removed_index(path: Path) -> None:
    path.with_name(f"{path.name}-shm").unlink()


def replaced_log(path: Path) -> None:
    removed_log(path)
    path.with_name(f"{path.name}-wal").touch()


def replaced(path: Path) -> None:
    copy = path.with_name("copy.db")
    copy.write_bytes(content(path))
    copy.replace(path)


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (Path.unlink, "was deleted while it was in use"),
        (replaced, "was replaced by another file"),
        (removed_log, r"lost its write-ahead log \(.*one.db-wal was removed\)"),
        (removed_index, r"lost its write-ahead log \(.*one.db-shm was removed\)"),
        (replaced_log, r"lost its write-ahead log \(.*one.db-wal was replaced by another file\)"),
    ],
)
def test_a_projection_that_lost_its_files_writes_nothing_until_it_is_opened_again(
    tmp_path: Path, harm: Callable[[Path], None], message: str
) -> None:
    path = tmp_path / "one.db"
    one = Database(path)
    one.open().execute("CREATE TABLE t (x)")
    harm(path)
    names = set(os.listdir(tmp_path))
    for use in (one.begin, lambda: one.alone(lambda conn: conn.execute("INSERT INTO t VALUES (1)"))):
        with pytest.raises(StoreLostError, match=message):
            use()
    one.close()
    assert set(os.listdir(tmp_path)) == names  # to close it removes nothing that another may have there
    for again in (one, Database(path)):
        if "write-ahead log" in message:
            with pytest.raises(StoreLostError, match="has lost its write-ahead log, while this process"):
                again.open()
        else:
            again.open()
            again.close()


def test_a_commit_into_files_that_lost_their_names_meanwhile_is_not_reported_as_done(tmp_path: Path) -> None:
    path = tmp_path / "one.db"
    one = Database(path)
    one.open().execute("CREATE TABLE t (x)")

    def insert(conn: sqlite3.Connection) -> None:
        conn.execute("INSERT INTO t VALUES (1)")
        removed_log(path)

    with pytest.raises(StoreLostError, match="lost its write-ahead log"):
        one.alone(insert)
    one.close()


# --- what even undoing cannot undo ------------------------------------------------------------------------


def test_a_transaction_that_cannot_be_undone_is_undone_by_closing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = Database(tmp_path / "one.db")
    conn = one.open()
    conn.execute("CREATE TABLE t (x)")
    one.begin()
    conn.execute("INSERT INTO t VALUES (1)")

    def deny_rollback(action: int, what: str | None, *others: object) -> int:
        is_rollback = action == sqlite3.SQLITE_TRANSACTION and what == "ROLLBACK"
        return sqlite3.SQLITE_DENY if is_rollback else sqlite3.SQLITE_OK

    conn.set_authorizer(deny_rollback)
    one.rollback()
    assert not one.is_open
    assert [record.message.endswith("the connection is closed") for record in caplog.records] == [True]
    assert one.alone(lambda fresh: fresh.execute("SELECT count(*) FROM t").fetchone()) == (0,)
    one.close()


@pytest.mark.parametrize("inside", [False, True])
async def test_execute_many_whose_error_ended_the_transaction_raises_that_error(
    sales: Projection, inside: bool
) -> None:
    async def add() -> None:
        sql, rows = "INSERT OR ROLLBACK INTO sale VALUES (?, ?)", [(1, 1), (1, 2)]
        if not inside:
            await sales.execute_many(sql, rows)
            return
        async with sales.transaction() as tx:
            await tx.execute("INSERT INTO sale VALUES (7, 7)")
            await tx.execute_many(sql, rows)

    with pytest.raises(sqlite3.IntegrityError):
        await add()
    assert await amounts(sales) == []
    assert await sales.execute("INSERT INTO sale (amount) VALUES (1)") == 1
