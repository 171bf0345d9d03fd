"""SQLiteProjectionStore: transactions, turns, and what goes wrong in them."""

import math
import os
import sqlite3
import string
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_workflow.errors import ConfigError, OptionError, WorkflowError
from trio_workflow.filenames import safe_name
from trio_workflow.projections import Projection, ProjectionStore, SQLiteProjectionStore
from trio_workflow.projections.database import WAL_LIMIT, Database


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteProjectionStore]:
    store = SQLiteProjectionStore(tmp_path / "projections")
    yield store
    with trio.CancelScope(shield=True):
        await store.close()


@pytest.fixture
async def sales(store: SQLiteProjectionStore) -> Projection:
    sales = await store.projection("sales")
    await sales.execute("CREATE TABLE sale (id INTEGER PRIMARY KEY, amount INTEGER CHECK (amount >= 0))")
    return sales


async def amounts(sales: Projection) -> list[int]:
    return [row["amount"] for row in await sales.query("SELECT amount FROM sale ORDER BY id")]


# --- the store -------------------------------------------------------------------------------------------


def test_a_root_is_required() -> None:
    for root in ("", "  ", None):
        with pytest.raises(ConfigError, match=r"^projection store root is required$"):
            SQLiteProjectionStore(root)  # type: ignore[arg-type]


@pytest.mark.parametrize("timeout", [-1, math.nan, math.inf])
def test_a_busy_timeout_is_a_number_of_seconds(timeout: float) -> None:
    with pytest.raises(ConfigError, match="busy_timeout"):
        SQLiteProjectionStore("root", busy_timeout=timeout)


@pytest.mark.parametrize("name", ["", "x" * 256, "a\nb", "a\x00b", "\x7f", "\x9f", "\ud800", 7, None])
async def test_a_bad_name_is_refused_and_makes_no_file(store: SQLiteProjectionStore, name: str) -> None:
    with pytest.raises(OptionError):
        await store.projection(name)
    await store.projection("good")
    assert len(store._projections) == 1


NASTY = [
    "a",
    "A",
    "a.db",
    "../a",
    "/a",
    ".",
    "..",
    "a%",
    "%61",
    "a-wal",
    "CON",
    "ä",
    "a\u0308",
    "x" * 255,
    " ",
]


async def test_every_name_has_a_file_of_its_own_under_the_root(tmp_path: Path) -> None:
    store = SQLiteProjectionStore(tmp_path / "deep" / "root")
    for name in NASTY:
        projection = await store.projection(name)
        await projection.execute("CREATE TABLE t (name)")
        await projection.execute("INSERT INTO t VALUES (?)", name)
    for name in NASTY:
        assert await (await store.projection(name)).query("SELECT name FROM t") == [{"name": name}]
    await store.close()
    files = os.listdir(tmp_path / "deep" / "root")
    assert len({file.lower() for file in files}) == len(NASTY)
    assert all(file.endswith(".db") for file in files)
    assert os.listdir(tmp_path) == ["deep"]
    assert "a.db" in files


nasty_text = st.text(st.sampled_from("aA%./-\\ä\x00\ud800" + string.hexdigits)) | st.text(max_size=800)


@settings(max_examples=500)
@given(nasty_text, nasty_text)
def test_file_names_differ_even_without_regard_to_case(one: str, other: str) -> None:
    for text in (one, other, one.swapcase(), safe_name(one)):
        name = safe_name(text)
        assert 0 < len(name) <= 128
        assert set(name) <= set(string.ascii_lowercase + string.digits + "-_%")
    texts = {one, other, one.swapcase(), one.upper(), safe_name(one), one * 60, one * 61, safe_name(one * 61)}
    assert len({safe_name(text).lower() for text in texts}) == len(texts)


def test_the_file_name_of_a_long_name_is_no_name_of_its_own() -> None:
    assert safe_name(safe_name("x" * 200)) != safe_name("x" * 200)


async def test_a_name_answers_one_object_also_to_callers_at_once(store: SQLiteProjectionStore) -> None:
    found: list[Projection] = []

    async def ask() -> None:
        found.append(await store.projection("one"))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask)
    assert len({id(projection) for projection in found}) == 1
    assert await store.projection("one") is found[0]


async def test_it_satisfies_the_protocols(store: SQLiteProjectionStore) -> None:
    typed: ProjectionStore = store
    projection: Projection = await typed.projection("one")
    assert repr(projection).startswith("SQLiteProjection('one', ")


async def test_after_close_the_next_use_opens_again(store: SQLiteProjectionStore, sales: Projection) -> None:
    await sales.execute("INSERT INTO sale (amount) VALUES (1)")
    await store.close()
    await store.close()
    assert await amounts(sales) == [1]
    assert await store.projection("sales") is sales


def test_a_store_serves_one_trio_run_after_another(tmp_path: Path) -> None:
    store = SQLiteProjectionStore(tmp_path)

    async def count() -> int:
        counter = await store.projection("counter")
        await counter.execute("CREATE TABLE IF NOT EXISTS t (x)")
        await counter.execute("INSERT INTO t VALUES (1)")
        rows = await counter.query("SELECT count(*) AS n FROM t")
        await store.close()
        return int(rows[0]["n"])

    assert [trio.run(count), trio.run(count, clock=MockClock()), trio.run(count)] == [1, 2, 3]


async def test_closing_leaves_one_file_with_everything_in_it(
    store: SQLiteProjectionStore, sales: Projection, tmp_path: Path
) -> None:
    await sales.execute("INSERT INTO sale (amount) VALUES (1)")
    await store.close()
    assert os.listdir(tmp_path / "projections") == ["sales.db"]


async def test_a_foreign_file_is_refused_with_the_error_of_sqlite_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("not a database, but long enough to look like one" * 100)
    before = (tmp_path / "notes.db").read_bytes()
    with pytest.raises(sqlite3.DatabaseError):
        await SQLiteProjectionStore(tmp_path).projection("notes")
    assert (tmp_path / "notes.db").read_bytes() == before


def test_a_new_file_that_another_is_making_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "new.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE t (x)")
        other.execute("BEGIN IMMEDIATE")
        # SQLite refuses to change the journal mode under such a lock at once, whatever its timeout.
        monkeypatch.setattr(
            "trio_workflow.projections.database.time.sleep", lambda _: other.execute("ROLLBACK")
        )
        conn = Database(path, busy_timeout=10).open()
    assert conn.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    conn.close()


# --- statements ------------------------------------------------------------------------------------------


async def test_values_go_by_position_or_by_name(sales: Projection) -> None:
    assert await sales.execute("INSERT INTO sale VALUES (?, ?)", 1, 10) == 1
    assert await sales.execute("INSERT INTO sale VALUES (:id, :amount)", {"id": 2, "amount": 20}) == 1
    assert await sales.execute_many("INSERT INTO sale VALUES (?, ?)", iter([(3, 30), (4, 40)])) == 2
    assert await sales.execute_many("INSERT INTO sale VALUES (:i, :a)", [{"i": 5, "a": 50}]) == 1
    assert await sales.query("SELECT * FROM sale WHERE id = :id", {"id": 2}) == [{"id": 2, "amount": 20}]
    assert await sales.query("SELECT amount FROM sale WHERE id > ?", 3) == [{"amount": 40}, {"amount": 50}]


async def test_execute_answers_how_many_rows_it_changed(sales: Projection) -> None:
    await sales.execute("CREATE TABLE log (sale)")
    await sales.execute("CREATE TRIGGER t AFTER INSERT ON sale BEGIN INSERT INTO log VALUES (new.id); END")
    assert await sales.execute("INSERT INTO sale (amount) VALUES (1), (2), (3)") == 3
    assert (
        await sales.execute("WITH x(a) AS (VALUES (4), (5)) INSERT INTO sale (amount) SELECT a FROM x") == 2
    )
    assert await sales.execute("INSERT INTO sale (amount) VALUES (6) RETURNING id") == 1
    assert await sales.execute("UPDATE sale SET amount = 0 WHERE id > 100") == 0
    assert await sales.execute("CREATE INDEX i ON sale (amount)") == 0
    assert await sales.execute("SELECT 1") == 0
    assert await sales.execute("DELETE FROM log") == 6


async def test_query_keeps_what_a_returning_statement_wrote(sales: Projection) -> None:
    rows = await sales.query("INSERT INTO sale (amount) VALUES (1), (2) RETURNING id")
    assert [row["id"] for row in rows] == [1, 2]
    assert await amounts(sales) == [1, 2]
    assert await sales.query("CREATE INDEX i ON sale (amount)") == []


async def test_foreign_keys_are_enforced(sales: Projection) -> None:
    await sales.execute("CREATE TABLE item (sale INTEGER REFERENCES sale)")
    with pytest.raises(sqlite3.IntegrityError):
        await sales.execute("INSERT INTO item VALUES (99)")


async def test_execute_many_is_all_or_nothing(sales: Projection) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        await sales.execute_many("INSERT INTO sale (amount) VALUES (?)", [(1,), (2,), (-3,)])
    assert await amounts(sales) == []
    async with sales.transaction() as tx:
        await tx.execute("INSERT INTO sale (amount) VALUES (7)")
        with pytest.raises(sqlite3.IntegrityError):
            await tx.execute_many("INSERT INTO sale (amount) VALUES (?)", [(1,), (2,), (-3,)])
        assert await tx.execute_many("INSERT INTO sale (amount) VALUES (?)", [(8,), (9,)]) == 2
    assert await amounts(sales) == [7, 8, 9]


async def test_an_error_of_sqlite_comes_out_unchanged_and_hinders_nobody(sales: Projection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table: nowhere"):
        await sales.query("SELECT * FROM nowhere")
    with pytest.raises(sqlite3.ProgrammingError):
        await sales.execute_many("SELECT ?", [(1,)])
    await sales.execute("INSERT INTO sale (amount) VALUES (1)")
    assert await amounts(sales) == [1]


@pytest.mark.parametrize("sql", ["BEGIN", "BEGIN IMMEDIATE", "SAVEPOINT s"])
async def test_sql_that_begins_a_transaction_is_refused(sales: Projection, sql: str) -> None:
    for call in (sales.execute, sales.query):
        with pytest.raises(WorkflowError, match=r"projection\.transaction\(\)"):
            await call(sql)
    async with sales.transaction() as tx:
        await tx.execute("INSERT INTO sale (amount) VALUES (1)")
    assert await amounts(sales) == [1]


async def test_another_writer_is_waited_for_and_then_sqlite_says_it_is_locked(
    sales: Projection, tmp_path: Path
) -> None:
    path = tmp_path / "projections" / "sales.db"
    impatient = SQLiteProjectionStore(tmp_path / "projections", busy_timeout=0)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        refused = await impatient.projection("sales")
        for sql in ("INSERT INTO sale (amount) VALUES (1)", "DELETE FROM sale"):
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                await refused.execute(sql)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            async with refused.transaction():
                raise AssertionError("the block must not run")
        other.execute("ROLLBACK")
    assert await refused.execute("INSERT INTO sale (amount) VALUES (2)") == 1
    await impatient.close()


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
    one = Database(path, busy_timeout=0)
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
