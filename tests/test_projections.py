"""SQLiteProjectionStore: names, files and statements."""

import math
import os
import sqlite3
import string
from pathlib import Path

import projection_kit
import pytest
import trio
from file_kit import content
from hypothesis import given, settings
from hypothesis import strategies as st
from projection_kit import amounts
from trio.testing import MockClock

from trio_workflow.errors import ConfigError, OptionError, WorkflowError
from trio_workflow.filenames import safe_name
from trio_workflow.projections import Projection, ProjectionStore, SQLiteProjectionStore

# The fixtures
store = projection_kit.store
sales = projection_kit.sales


# --- the store -------------------------------------------------------------------------------------------


def test_a_root_is_required() -> None:
    for root in ("", "  ", None):
        with pytest.raises(ConfigError, match=r"^projection store root is required$"):
            SQLiteProjectionStore(root)  # type: ignore[arg-type]  # wrong on purpose


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
    before = content(tmp_path / "notes.db")
    with pytest.raises(sqlite3.DatabaseError):
        await SQLiteProjectionStore(tmp_path).projection("notes")
    assert content(tmp_path / "notes.db") == before


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
