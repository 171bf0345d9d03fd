"""A database file that is cut or spoilt is refused, or read as far as it is whole, and then not written."""

import random
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from file_kit import content
from log_kit import PAGE, Log, both, leave, reopened, write_log
from store_kit import Bench, open_bench, run
from trio.testing import MockClock

from trio_workflow.errors import StoreError, StoreLostError, WorkflowError
from trio_workflow.store.sqlite.transaction import Tx
from trio_workflow.store.sqlite.writer import RENEWAL

TRUNCATIONS, SPOILT = 120, 200


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Log:
    return write_log(tmp_path_factory.mktemp("log") / "engine.db")


@pytest.fixture(scope="module")
def closed(written: Log, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The database of `written` after its log was copied back."""
    path = leave(tmp_path_factory.mktemp("closed") / "engine.db", written.database, written.log)
    reopened(path)
    return content(path)


def test_a_truncated_file_is_refused_and_left_as_it_is(closed: bytes, tmp_path: Path) -> None:
    dice = random.Random(22)
    sizes = [1, 99, 100, PAGE, len(closed) - PAGE, len(closed) - 1]
    for size in sizes + [dice.randrange(1, len(closed)) for _ in range(TRUNCATIONS)]:
        path = leave(tmp_path / "engine.db", closed[:size], b"")
        with pytest.raises(StoreError, match=r"is truncated|is not a SQLite database"):
            reopened(path)
        assert both(path) == (closed[:size], b""), f"truncated to {size}"


def test_a_truncated_file_with_a_log_is_refused_unless_the_log_has_what_it_lacks(
    written: Log, closed: bytes, tmp_path: Path
) -> None:
    dice = random.Random(23)
    taken = 0
    for size in [dice.randrange(1, len(closed)) for _ in range(TRUNCATIONS)]:
        path = leave(tmp_path / "engine.db", closed[:size], written.log)
        try:
            found = reopened(path)
        except StoreError:
            assert both(path) == (closed[:size], written.log), f"truncated to {size}"
        else:
            taken += 1
            assert found == written.commits[-1][1], f"truncated to {size}"
    assert 0 < taken < TRUNCATIONS


Call = Callable[[], Awaitable[object]]


def calls(bench: Bench, dice: random.Random) -> list[Call]:
    """Every kind of read and write, in any order."""
    reads = bench.store.reads

    async def work() -> None:
        await bench.finish(3)

    found: list[Call] = [
        lambda: reads.runs(package=None, status=None, metadata=None, limit=50, after=None),
        lambda: reads.steps("r0", status=None, limit=1000, after=None),
        lambda: reads.records("pages", run_id=None, limit=1000, after=None),
        lambda: reads.result("r1", "a"),
        reads.check,
        work,
        work,
        lambda: bench.create(run(f"new-{dice.random()}", "a", "b")),
        lambda: bench.store.cancel_run("r4"),
        lambda: bench.store.retry_run("r0"),
        lambda: bench.store.delete_run("r2"),
        bench.store.release_artifacts,
        bench.store.purge,
    ]
    dice.shuffle(found)
    return found


async def use(path: Path, dice: random.Random) -> bool:
    """Open it and do this and that; answers whether it was found damaged. From then on its bytes stay."""
    before = None
    async with open_bench(path) as bench:
        for call in calls(bench, dice) + calls(bench, dice):
            try:
                await call()
            except StoreLostError:
                before = before or both(path)
            except WorkflowError:  # a run that was deleted, say
                pass
            assert before in (None, both(path))
        if before is not None:
            with pytest.raises(StoreLostError):
                await bench.create(run("after", "a"))
    assert before in (None, both(path))
    return before is not None


def spoil(content: bytes, dice: random.Random) -> bytes:
    """Some of its pages are something else."""
    spoilt = bytearray(content)
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(content) // PAGE) * PAGE
        spoilt[at : at + PAGE] = dice.choice((dice.randbytes(PAGE), bytes(PAGE), b"\xff" * PAGE))
    return bytes(spoilt)


@pytest.mark.parametrize("has_log", [False, True], ids=["closed", "with-a-log"])
def test_a_file_with_spoilt_pages_is_refused_or_ends_with_a_clear_error_and_is_not_written_afterwards(
    closed: bytes, tmp_path: Path, has_log: bool
) -> None:
    found = refused = 0
    log = log_of_one_commit(leave(tmp_path / "log.db", closed, b"")) if has_log else b""
    for seed in range(SPOILT):
        dice = random.Random(seed)
        content = spoil(closed, dice)
        path = leave(tmp_path / "engine.db", content, log)
        try:
            found += trio.run(use, path, dice, clock=MockClock())
        except StoreError:
            refused += 1
            assert both(path) == (content, log), f"seed {seed}"
    assert found > SPOILT / 4
    assert refused > 0


def log_of_one_commit(path: Path) -> bytes:
    async def main() -> bytes:
        async with open_bench(path) as bench:
            await bench.create(run("last", "a"))
            return both(path)[1]

    return trio.run(main, clock=MockClock())


async def test_what_stands_in_line_with_a_write_that_finds_damage_is_not_written(bench: Bench) -> None:
    def meet_damage(tx: Tx) -> None:
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    async def refused(call: Call) -> None:
        with pytest.raises(StoreLostError, match="is damaged"):
            await call()

    before = both(bench.path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(refused, lambda: bench.store._writer.submit(meet_damage, RENEWAL))
        for number in range(3):
            nursery.start_soon(refused, lambda number=number: bench.create(run(f"r{number}", "a")))
    assert bench.store.statistics().taken_back == 1
    assert both(bench.path) == before


def test_what_lies_in_the_log_from_earlier_does_not_stand_for_what_a_file_lacks(
    written: Log, closed: bytes, tmp_path: Path
) -> None:
    """A log that is used again from its start has a new salt, and frames with the old one behind the new."""
    log = bytearray(written.log)
    log[16:24] = b"new salt"
    path = leave(tmp_path / "engine.db", closed[: len(written.database)], bytes(log))
    with pytest.raises(StoreError, match="is truncated"):
        reopened(path)
    leave(path, closed[: len(written.database)], written.log)
    assert reopened(path) == written.commits[-1][1]
