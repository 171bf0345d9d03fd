"""check() of a file with spoilt pages: what it reads of them is refused, never passed over."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import trio
from file_kit import content
from log_kit import PAGE, leave, reopened, write_log
from store_kit import open_bench
from stories import config, define
from test_lost_files import hang
from trio.testing import MockClock

from trio_workflow import RuntimeCrashedError, StoreLostError, open_runtime
from trio_workflow.model.records import Violation

READ = ["steps", "runs", "attempts", "artifacts"]  # tables of which check() reads every row


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("log") / "engine.db"
    log = write_log(path)
    leave(path, log.database, log.log)
    reopened(path)
    return content(path)


def first_page(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as conn:
        page: int = conn.execute(
            "SELECT rootpage FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)
        ).fetchone()[0]
        return page


def check(path: Path) -> list[Violation]:
    async def main() -> list[Violation]:
        async with open_bench(path) as bench:
            return await bench.store.reads.check()

    return trio.run(main, clock=MockClock())


def cleared(page: bytes) -> bytes:
    return bytes(len(page))


def overwritten(page: bytes) -> bytes:
    return b"\x77" * len(page)


def without_header(page: bytes) -> bytes:
    return bytes(8) + page[8:]


@pytest.mark.parametrize("table", READ)
@pytest.mark.parametrize("harm", [cleared, overwritten, without_header])
def test_a_spoilt_page_that_it_reads_is_told_of(
    closed: bytes, tmp_path: Path, table: str, harm: Callable[[bytes], bytes]
) -> None:
    path = leave(tmp_path / "engine.db", closed, b"")
    assert check(path) == []
    at = (first_page(path, table) - 1) * PAGE
    leave(path, closed[:at] + harm(closed[at : at + PAGE]) + closed[at + PAGE :], b"")
    with pytest.raises(StoreLostError, match="is damaged"):
        check(path)


def alter(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        for statement in statements:
            conn.execute(statement)


def count_that_is_none(path: Path) -> None:
    """As damage to the bytes of a row leaves it: no constraint lets it come to be."""
    schema = "UPDATE sqlite_master SET sql = replace(sql, '{}', '{}') WHERE name = 'runs'"
    writable, strict, loose = "PRAGMA writable_schema = ON", "pending INTEGER NOT NULL", "pending INTEGER"
    alter(path, writable, schema.format(strict, loose))
    alter(path, "UPDATE runs SET pending = NULL")
    alter(path, writable, schema.format(f"{loose} CHECK", f"{strict} CHECK"))


def text_that_is_none(path: Path) -> None:
    alter(
        path,
        "PRAGMA ignore_check_constraints = ON",
        "UPDATE steps SET token = 'x', id = CAST(x'ff' AS TEXT) WHERE step_key = 1",
    )


@pytest.mark.parametrize("harm", [count_that_is_none, text_that_is_none])
def test_a_value_that_no_row_can_have_is_told_of(
    closed: bytes, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    path = leave(tmp_path / "engine.db", closed, b"")
    harm(path)
    with pytest.raises(StoreLostError, match=r"is damaged \(a row holds what none can"):
        check(path)


async def check_and_wait(folder: Path) -> None:
    async with open_runtime(config(folder)) as rt:
        define(rt, hang)
        with pytest.raises(StoreLostError):
            await rt.check()
        await trio.sleep_forever()


async def test_damage_that_it_meets_ends_the_runtime(
    closed: bytes, tmp_path: Path, autojump_clock: MockClock
) -> None:
    path = leave(tmp_path / "engine.db", closed, b"")
    at = (first_page(path, "attempts") - 1) * PAGE
    leave(path, closed[:at] + bytes(PAGE) + closed[at + PAGE :], b"")
    with pytest.raises(RuntimeCrashedError, match="is damaged"):
        await check_and_wait(tmp_path)
