"""The space of deleted runs is given back, a bite at a time, beside those who work."""

import itertools
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from store_kit import Bench, open_bench, run, step
from test_delete_verb import purge_all

from trio_workflow import Package, RunBuilder, SQLiteStore, StepContext
from trio_workflow.store.sqlite.verbs import shrink
from trio_workflow.testing import open_test_runtime, run_until_idle

PAGE = 4096
LARGE = f'"{"x" * 20 * PAGE}"'
NEAR = 2 * shrink.KEPT_AT_LEAST
"""Pages: what is kept, and what is in use besides."""


async def large_runs(bench: Bench, count: int = 100) -> None:
    for number in range(count):
        await bench.create(run(f"large-{number}", step("a", input=LARGE)))
    await bench.finish(count)


async def remove_all(bench: Bench) -> None:
    while await bench.store.prune(bench.now(), 100):
        pass
    await purge_all(bench)


def pages(bench: Bench, what: str = "page_count") -> int:
    [(count,)] = bench.rows(f"PRAGMA {what}")
    assert isinstance(count, int)
    return count


async def test_the_file_shrinks_to_near_what_the_rest_needs(bench: Bench) -> None:
    await large_runs(bench)
    await bench.create(run("kept", step("a", input=LARGE)))
    await remove_all(bench)
    bench.rows("PRAGMA wal_checkpoint(PASSIVE)")
    assert bench.path.stat().st_size > 2000 * PAGE
    while await bench.store.shrink():
        pass
    bench.rows("PRAGMA wal_checkpoint(PASSIVE)")
    assert bench.path.stat().st_size < NEAR * PAGE
    assert pages(bench, "freelist_count") == shrink.KEPT_AT_LEAST
    assert bench.rows("PRAGMA integrity_check") == [("ok",)]
    assert (await bench.finish(), await bench.statuses("kept")) == (["a"], {"a": "succeeded"})
    assert await bench.is_sound()


async def test_no_bite_is_larger_than_allowed(bench: Bench) -> None:
    await large_runs(bench)
    await remove_all(bench)
    sizes = [pages(bench)]
    while await bench.store.shrink():
        sizes.append(pages(bench))
    bites = [before - after for before, after in itertools.pairwise(sizes)]
    assert len(bites) > 5
    assert set(bites) <= {shrink.PAGES_AT_ONCE, shrink.PAGES_AT_ONCE + 1}  # one more if it maps no page now


async def test_a_share_of_what_is_in_use_is_kept_free(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shrink, "KEPT_AT_LEAST", 0)
    await large_runs(bench)
    await bench.create(*(run(f"kept-{number}", step("a", input=LARGE)) for number in range(40)))
    await remove_all(bench)
    while await bench.store.shrink():
        pass
    free, total = pages(bench, "freelist_count"), pages(bench)
    assert free == (total - free) // shrink.KEPT_SHARE
    assert not await bench.store.shrink()
    assert pages(bench) == total


async def test_others_work_between_the_bites(bench: Bench) -> None:
    await large_runs(bench)
    await remove_all(bench)
    async with open_bench(bench.path) as other:
        count = 0
        while await bench.store.shrink():
            count += 1
            await other.create(run(f"r{count}", step("a", input=LARGE), step("b", "a")))
            await other.finish(1)
            assert await other.is_sound()
        assert count > 5
        while await other.finish():
            pass
        assert await other.run_status("r1") == "succeeded"
    assert bench.rows("PRAGMA integrity_check") == [("ok",)]
    assert await bench.is_sound()


async def test_a_reader_in_the_way_only_puts_off_that_the_file_shrinks(bench: Bench) -> None:
    await large_runs(bench)
    with closing(sqlite3.connect(bench.path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM step_inputs").fetchone() == (100,)
        await remove_all(bench)
        while await bench.store.shrink():
            pass
        bench.rows("PRAGMA wal_checkpoint(PASSIVE)")
        assert reader.execute("SELECT sum(length(input)) FROM step_inputs").fetchone() == (100 * len(LARGE),)
        reader.execute("ROLLBACK")
    bench.rows("PRAGMA wal_checkpoint(PASSIVE)")
    assert bench.path.stat().st_size < NEAR * PAGE


async def test_a_file_without_a_map_of_its_pages_is_left_as_it_is(bench: Bench, tmp_path: Path) -> None:
    """VACUUM can have taken the map away."""
    path = tmp_path / "copy.db"
    bench.rows("VACUUM INTO ?", str(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.executescript("PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM;")
    async with open_bench(path) as copy:
        assert copy.rows("PRAGMA auto_vacuum") == [(0,)]
        await large_runs(copy)
        await remove_all(copy)
        assert not await copy.store.shrink()
        assert pages(copy, "freelist_count") > 2000


package = Package("p")


@package.entrypoint
def start(run: RunBuilder) -> None:
    run.step(kind="k", input="x" * 2000 * PAGE)


@package.executor("k")
async def work(step: StepContext) -> None: ...


@pytest.mark.parametrize("by", ["delete_run", "prune"])
async def test_deleting_gives_the_space_back(autojump_clock: object, tmp_path: Path, by: str) -> None:
    path = tmp_path / "engine.db"
    async with open_test_runtime(store=SQLiteStore(path, synchronous="OFF")) as rt:
        rt.register_package(package)
        handle = await rt.start_run("p")
        await run_until_idle(rt)
        await (rt.delete_run(handle.id) if by == "delete_run" else rt.prune(0))
        assert path.stat().st_size < NEAR * PAGE
