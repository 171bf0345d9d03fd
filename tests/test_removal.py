"""delete_run and prune: rows go at once; bytes that cannot be removed stop nothing, and are tried again."""

import itertools
import logging
from pathlib import Path

import pytest
import trio
from removal_kit import Failing, bodies, put, query, removals
from store_kit import Bench
from stories import Switch, config, define, opened, opened_quietly, working
from test_delete_verb import ended
from trio.testing import MockClock

from trio_workflow import Runtime, open_runtime
from trio_workflow.errors import RuntimeCrashedError, StoreError, StoreUnavailableError
from trio_workflow.model.removal import FailedRemoval
from trio_workflow.runtime import removal
from trio_workflow.runtime.housekeeping import remove_pending
from trio_workflow.runtime.runtime import engine_of
from trio_workflow.testing import crash, run_until_idle

MINUTE = 60.0
DAY = 24 * 60 * MINUTE


async def finished(rt: Runtime, *run_ids: str) -> None:
    """Runs that have ended, each with an artifact in the artifact store."""
    for run_id in run_ids:
        await rt.start_run("p", run_id=run_id)
    await run_until_idle(rt)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


async def test_an_artifact_that_cannot_be_removed_stops_the_removal_of_no_run(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    store = Failing(tmp_path / "artifacts", "held")
    async with opened(tmp_path, artifact_store=store, max_workers=9) as rt:
        define(rt, put)
        await finished(rt, "held", "one", "two")
        await rt.delete_run("held")
        await rt.delete_run("one")
        assert await rt.prune(0) == 1
        assert (await rt.runs()).items == ()
        assert query(tmp_path / "engine.db", "SELECT * FROM steps") == []
        assert query(tmp_path / "engine.db", "SELECT * FROM trash") == []
        assert bodies(tmp_path / "artifacts") == [b"bytes of held"]
        [row] = removals(tmp_path / "engine.db")
        assert (row.id, row.tries, row.error) == (
            "held/s/artifact:001",
            1,
            "PermissionError: 403: under legal hold",
        )
        assert warnings(caplog) == [
            'the bytes of artifact "held/s/artifact:001" could not be removed, and will be tried again: '
            "PermissionError: 403: under legal hold"
        ]


@pytest.mark.parametrize(
    "error",
    [StoreUnavailableError("full"), StoreError("odd"), ExceptionGroup("several", [ValueError()])],
    ids=lambda error: type(error).__name__,
)
async def test_no_error_of_an_artifact_store_is_raised(
    tmp_path: Path, autojump_clock: MockClock, error: Exception
) -> None:
    store = Failing(tmp_path / "artifacts", "held")
    store.error = error
    async with opened(tmp_path, artifact_store=store) as rt:
        define(rt, put)
        await finished(rt, "held", "held too")
        await rt.delete_run("held")
        assert await rt.prune(0) == 1
        assert [row.tries for row in removals(tmp_path / "engine.db")] == [1, 1]


async def test_the_error_of_a_removal_can_always_be_stored(tmp_path: Path, autojump_clock: MockClock) -> None:
    class OddError(Exception):
        def __str__(self) -> str:
            raise ZeroDivisionError

    store = Failing(tmp_path / "artifacts", "held")
    async with opened(tmp_path, artifact_store=store) as rt:
        define(rt, put)
        for error in (OddError(), Exception("\ud800\x00"), Exception("x" * 100_000)):
            store.error = error
            await finished(rt, "held")
            await rt.delete_run("held")
    found = [row.error or "" for row in removals(tmp_path / "engine.db")]
    assert [error.partition(":")[0] for error in found] == ["OddError", "Exception", "Exception"]
    assert max(map(len, found)) < 600


async def test_the_id_of_a_run_is_free_although_its_bytes_cannot_be_removed(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """The bytes of the earlier run go later, and those of the later run, which are equal, stay."""
    store = Failing(tmp_path / "artifacts", "held")
    async with opened(tmp_path, artifact_store=store) as rt:
        define(rt, put)
        await finished(rt, "held")
        await rt.delete_run("held")
        await finished(rt, "held")
        assert bodies(tmp_path / "artifacts") == 2 * [b"bytes of held"]
        store.held = ()
        await rt.prune(DAY)
        assert bodies(tmp_path / "artifacts") == [b"bytes of held"]
        async with rt.open_artifact("held", "s", "a.bin") as reader:
            assert await reader.read() == b"bytes of held"


async def test_a_failed_removal_is_tried_again_after_a_minute_that_doubles_to_a_day(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    store = Failing(tmp_path / "artifacts", "held")
    async with opened(tmp_path, artifact_store=store, patience=100 * DAY, lease_duration=DAY) as rt:
        define(rt, put)
        await finished(rt, "held")
        async with working(rt):
            await rt.delete_run("held")
            await trio.sleep(6 * DAY)
            store.held = ()
            await trio.sleep(DAY)
    waits = [round(later - before) for before, later in itertools.pairwise(store.times)]
    assert len(waits) > 13
    assert waits == [min(DAY, MINUTE * 2**number) for number in range(len(waits))]
    assert bodies(tmp_path / "artifacts") == []
    assert len(warnings(caplog)) == 1


async def test_a_later_call_tries_again_what_failed_whatever_its_date(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    store = Failing(tmp_path / "artifacts", "held")
    async with opened(tmp_path, artifact_store=store) as rt:
        define(rt, put)
        await finished(rt, "held", "one", "two")
        await rt.delete_run("held")
        before = removals(tmp_path / "engine.db")
        await rt.delete_run("one")
        await rt.prune(DAY)
        assert store.tried.count("held/s/artifact:001") == 3
        assert removals(tmp_path / "engine.db") == before  # tries before their date put nothing off
        store.held = ()
        await rt.delete_run("two")
        assert removals(tmp_path / "engine.db") == []
        assert bodies(tmp_path / "artifacts") == []


async def test_many_removals_that_fail_make_no_call_long_and_take_turns(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "RETRIED_AT_ONCE", 3)
    store = Failing(tmp_path / "artifacts", "held")
    async with opened(tmp_path, artifact_store=store, max_workers=9) as rt:
        define(rt, put)
        await finished(rt, *(f"held {number}" for number in range(7)))
        assert await rt.prune(0) == 7
        assert len(store.tried) == 7
        for _ in range(3):
            store.tried.clear()
            await rt.prune(DAY)
            assert len(store.tried) <= 3
        everything = {f"held {number}/s/artifact:001" for number in range(7)}
        assert {row.id for row in removals(tmp_path / "engine.db")} == everything
        store.tried.clear()
        for _ in range(3):
            await rt.prune(DAY)
        assert set(store.tried) == everything


async def test_each_artifact_of_a_large_prune_is_tried_once(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal, "TRIED_AT_ONCE", 4)
    monkeypatch.setattr("trio_workflow.runtime.housekeeping.PRUNED_AT_ONCE", 5)
    monkeypatch.setattr("trio_workflow.store.sqlite.verbs.removal.ARTIFACTS_AT_ONCE", 3)
    store = Failing(tmp_path / "artifacts", "7", "9")
    async with opened(tmp_path, artifact_store=store, max_workers=9) as rt:
        define(rt, put)
        await finished(rt, *map(str, range(23)))
        assert await rt.prune(0) == 23
        assert sorted(store.tried) == sorted(f"{number}/s/artifact:001" for number in range(23))
        assert [row.id[:2] for row in removals(tmp_path / "engine.db")] == ["7/", "9/", "17", "19"]


async def test_dates_of_removals_keep_nobody_waiting(tmp_path: Path, autojump_clock: MockClock) -> None:
    store = Failing(tmp_path / "artifacts", "held")
    async with opened(tmp_path, artifact_store=store) as rt:
        define(rt, put)
        await finished(rt, "held")
        await rt.delete_run("held")
        before = trio.current_time()
        await run_until_idle(rt)
        await rt.run_once()
        assert trio.current_time() == before
        assert len(store.tried) == 1
        await trio.sleep(2 * MINUTE)
        await rt.run_once()  # its date has come
        assert len(store.tried) == 2


async def test_a_runtime_without_an_artifact_store_leaves_the_bytes_to_a_runtime_that_has_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path, artifact_store=Failing(tmp_path / "artifacts")) as rt:
        define(rt, put)
        await finished(rt, "one", "two")
    async with opened(tmp_path, patience=9 * DAY, lease_duration=DAY) as rt, working(rt):
        await rt.delete_run("one")
        await trio.sleep(DAY)
        assert [(row.id, row.tries) for row in removals(tmp_path / "engine.db")] == [
            ("one/s/artifact:001", 0)
        ]
    async with opened(tmp_path, artifact_store=Failing(tmp_path / "artifacts")) as rt, working(rt):
        await trio.sleep(1)  # its workers notice at their start what others left
        assert removals(tmp_path / "engine.db") == []
        assert bodies(tmp_path / "artifacts") == [b"bytes of two"]


async def test_two_processes_that_remove_at_once_report_a_failure_once(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    stores = [Failing(tmp_path / "artifacts", "held") for _ in range(2)]
    async with (
        open_runtime(config(tmp_path, artifact_store=stores[0], max_workers=9)) as one,
        open_runtime(config(tmp_path, artifact_store=stores[1], max_workers=9)) as two,
    ):
        define(one, put)
        await finished(one, "held", *map(str, range(9)))
        async with trio.open_nursery() as nursery:
            for rt in (one, two):
                nursery.start_soon(rt.prune, 0)
        assert [row.id for row in removals(tmp_path / "engine.db")] == ["held/s/artifact:001"]
        assert bodies(tmp_path / "artifacts") == [b"bytes of held"]
        assert len(warnings(caplog)) == 1
        assert await one.check() == []


async def test_while_nothing_is_to_be_removed_workers_wait_for_no_date(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    store = Failing(tmp_path / "artifacts")
    async with opened(tmp_path, artifact_store=store, patience=9 * DAY, lease_duration=DAY) as rt:
        define(rt, put)
        async with working(rt):
            await trio.sleep(1)
            before = rt.statistics().commits
            assert engine_of(rt).next_removal == float("inf")
            await trio.sleep(3 * DAY)
            assert rt.statistics().commits == before


async def test_a_store_that_cannot_be_written_puts_a_removal_off_by_a_minute(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    switch = Switch(tmp_path)
    async with opened(tmp_path, store=switch, artifact_store=Failing(tmp_path / "artifacts")) as rt:
        define(rt, put)
        await finished(rt, "one")
        await engine_of(rt).store.delete_run("one")  # as a process that is killed before it goes on
        switch.is_down = True
        async with working(rt):
            await trio.sleep(1)
            assert "bytes of artifacts could not be removed: the switch is off" in warnings(caplog)
            switch.is_down = False
            await trio.sleep(MINUTE)
        assert bodies(tmp_path / "artifacts") == []
        assert query(tmp_path / "engine.db", "SELECT * FROM steps") == []


async def test_a_store_that_is_lost_while_bytes_are_removed_ends_the_runtime(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    with pytest.raises(RuntimeCrashedError, match="was deleted"):  # noqa: PT012 - it is the block
        async with opened_quietly(tmp_path, artifact_store=Failing(tmp_path / "artifacts")) as rt:
            (tmp_path / "engine.db").unlink()
            await remove_pending(engine_of(rt))
            await trio.sleep(1)
            raise AssertionError("it goes on")


async def test_a_runtime_that_is_gone_removes_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened_quietly(tmp_path, artifact_store=Failing(tmp_path / "artifacts")) as rt:
        define(rt, put)
        await finished(rt, "one")
        await engine_of(rt).store.delete_run("one")
        crash(rt)
        await remove_pending(engine_of(rt))
        assert bodies(tmp_path / "artifacts") == [b"bytes of one"]


async def test_a_failure_is_not_reported_of_what_another_process_has_removed(bench: Bench) -> None:
    await ended(bench)
    await bench.store.delete_run("r")
    await bench.store.release_artifacts()
    first, second, _ = await bench.store.removals(0, 10)
    await bench.store.settle_removals([first.key], ())
    failed = [FailedRemoval(removal.key, "no") for removal in (first, second)]
    assert await bench.store.settle_removals((), failed) == {second.key}
    assert await bench.store.settle_removals((), failed) == frozenset()
    assert [removal.key for removal in await bench.store.failed_removals(0, 10)] == [second.key]
