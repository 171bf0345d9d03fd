"""How every named statement finds its rows: none reads a table that grows from end to end."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from trio_workflow.store.sqlite.opening import open_file
from trio_workflow.store.sqlite.rows import HeldRow, LeasedRow
from trio_workflow.store.sqlite.statements import SQL

SMALL = {"j", "o", "w", "queues", "trash"}
"""What may be read whole: lists we pass in, what was computed from them, the queues, the runs to sweep."""

WHOLE = re.compile(r"SCAN (\w+)|SEARCH (\w+)$")
"""A search that names no index is one for the greatest or least of all rows."""

SCANS = {
    "leased_by_queue": "reads the partial index of what is running, which the limits bound",
    "first_group": "stops at the first row of the partial index of what is due",
    "ready_by_queue": "for people who look at queues: costs what is ready",
    "delayed_by_queue": "for people who look at queues: costs what is delayed",
    "last_step_key": "the greatest key: one seek in the table itself",
    "latest_time": "once, when a store is opened",
    "released_attempt_artifacts": "reads some rows of the partial index of what is released",
    "has_rows_to_remove": "stops at the first row of the partial index of what is released",
    "next_removal": "stops at the first row of the index of dates",
}
SORTS = {
    "wake": "counts by dependent, of what just ended",
    "dependents": "counts by dependent, of what just ended; in the order of steps, as they take their turns",
    "blocked": "the dependents of what just failed, in the order of steps",
    "unmeet": "counts by dependent, of what an operator retries",
    "canceled_dependents": "the dependents of what an operator retries",
    "step_artifacts": "the artifacts of one step, for readers",
    "delayed_by_queue": "for people who look at queues",
}
HELD = {name for name in SQL if not name.startswith(("check_", "inline_bodies"))}
"""The check_* statements, and inline_bodies with them, read the whole store: that is what they are for."""


@pytest.fixture(scope="module")
def conn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    path: Path = tmp_path_factory.mktemp("queries") / "engine.db"
    conn = open_file(str(path), "OFF")
    yield conn
    conn.close()


def plan(conn: sqlite3.Connection, name: str) -> list[str]:
    sql = SQL[name]
    named = dict.fromkeys(re.findall(r":(\w+)", sql))
    params = named or (None,) * sql.count("?")
    return [row["detail"] for row in conn.execute(f"EXPLAIN QUERY PLAN {sql}", params)]


@pytest.mark.parametrize("name", sorted(HELD))
def test_no_statement_scans_a_table_that_grows(conn: sqlite3.Connection, name: str) -> None:
    scanned = [line for line in plan(conn, name) if (found := WHOLE.match(line)) and found[1] not in SMALL]
    assert bool(scanned) == (name in SCANS), scanned


@pytest.mark.parametrize("name", sorted(HELD))
def test_no_statement_sorts_what_it_found(conn: sqlite3.Connection, name: str) -> None:
    sorted_by_hand = [line for line in plan(conn, name) if "TEMP B-TREE" in line]
    assert bool(sorted_by_hand) == (name in SORTS), sorted_by_hand


def test_exemptions_name_statements_that_are_there() -> None:
    assert set(SCANS) | set(SORTS) <= HELD


def test_the_checks_are_statements_too(conn: sqlite3.Connection) -> None:
    for name in set(SQL) - HELD:
        assert plan(conn, name)


@pytest.mark.parametrize(
    ("name", "fields"),
    [("fence", HeldRow._fields), ("expired", HeldRow._fields), ("leased_steps", LeasedRow._fields)],
)
def test_columns_stand_in_the_order_of_the_rows_they_are_read_as(
    conn: sqlite3.Connection, name: str, fields: tuple[str, ...]
) -> None:
    sql = SQL[name]
    params = {"leases": "{}", "queue": "", "now": 0, "limit": 0}
    columns = [column[0] for column in conn.execute(sql, params).description]
    assert tuple(columns[: len(fields)]) == fields
