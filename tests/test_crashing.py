"""crash(rt): what is left in the store, and who is told."""

import math
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_workflow import Package, RunBuilder, Runtime, RuntimeClosedError, SQLiteStore, StepContext
from trio_workflow.testing import crash, open_test_runtime, run_until_idle


def sleeper(name: str, seconds: float, log: list[str]) -> Package:
    """One step of kind `work` that sleeps, and notes in the log what becomes of it."""
    made = Package(name)

    @made.entrypoint
    def start(run: RunBuilder) -> None:
        run.step("s", kind="work")

    @made.executor("work")
    async def work(step: StepContext) -> str:
        log.append(f"start {step.attempt}")
        step.record("notes", "k", step.attempt)
        try:
            await trio.sleep(seconds)
        except trio.Cancelled:
            log.append(f"cancelled {step.attempt}")
            raise
        log.append(f"end {step.attempt}")
        return "done"

    return made


@pytest.fixture
def store(tmp_path: Path) -> SQLiteStore:
    return SQLiteStore(tmp_path / "engine.db", synchronous="OFF")


def dump(path: str) -> list[str]:
    """Everything that is stored."""
    conn = sqlite3.connect(path)
    try:
        return list(conn.iterdump())
    finally:
        conn.close()


@asynccontextmanager
async def working(store: SQLiteStore, package: Package, **config: Any) -> AsyncIterator[Runtime]:
    """A runtime whose workers run in a nursery of their own."""
    async with trio.open_nursery() as nursery, open_test_runtime(store=store, **config) as rt:
        rt.register_package(package)
        await nursery.start(rt.start_workers)
        yield rt


async def test_the_step_stays_running_until_another_runtime_takes_it_over(
    autojump_clock: MockClock, store: SQLiteStore
) -> None:
    log: list[str] = []
    async with working(store, sleeper("p", math.inf, log), worker_id="first") as rt:
        handle = await rt.start_run("p")
        await trio.sleep(25)
        crash(rt)
        await wait_all_tasks_blocked()
        assert log == ["start 1", "cancelled 1"]
    async with open_test_runtime(store=store, worker_id="second") as rt:
        rt.register_package(sleeper("p", 1, log))
        left = await rt.step(handle.id, "s")
        assert left is not None
        assert left.status == "running"
        assert left.lease is not None
        assert left.lease.worker_id == "first"
        assert (left.lease.expires_at - left.lease.acquired_at).total_seconds() == pytest.approx(50)
        assert (await run_until_idle(rt)).refreshed == 1
        assert trio.current_time() == pytest.approx(50 + 1)
        result = await rt.result(handle.id, "s")
        assert result is not None
        assert result.value(str) == "done"
        assert [(a.number, a.worker_id, a.outcome) for a in result.attempts] == [
            (1, "first", "lease_lost"),
            (2, "second", "succeeded"),
        ]
        assert len(await rt.records("notes")) == 1
        assert await rt.check() == []


async def test_waiting_and_using_it_raise_and_everything_else_ends_quietly(
    autojump_clock: MockClock, store: SQLiteStore
) -> None:
    async with working(store, sleeper("p", math.inf, [])) as rt, rt.events() as events:
        handle = await rt.start_run("p")
        async with trio.open_nursery() as nursery:
            for call in (handle.wait, lambda: run_until_idle(rt)):
                nursery.start_soon(_raises_closed, call)
            await wait_all_tasks_blocked()
            crash(rt)
            crash(rt)
        await _raises_closed(lambda: rt.start_run("p"))
        await _raises_closed(lambda: run_until_idle(rt))
        assert sorted([event.kind async for event in events]) == ["run_created", "run_updated", "step_leased"]


async def test_a_cycle_that_is_under_way_raises(autojump_clock: MockClock) -> None:
    async with open_test_runtime() as rt, trio.open_nursery() as nursery:
        log: list[str] = []
        rt.register_package(sleeper("p", math.inf, log))
        await rt.start_run("p")
        nursery.start_soon(_raises_closed, rt.run_once)
        await wait_all_tasks_blocked()
        crash(rt)
        await wait_all_tasks_blocked()
        assert log == ["start 1", "cancelled 1"]


async def _raises_closed(call: Any) -> None:
    with pytest.raises(RuntimeClosedError):
        await call()


async def test_what_an_executor_does_while_it_cleans_up_is_not_stored(
    autojump_clock: MockClock, store: SQLiteStore
) -> None:
    told: list[object] = []
    made = sleeper("p", math.inf, [])

    @made.executor("stubborn")
    async def stubborn(step: StepContext) -> str:
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                for call in (
                    step.save(1),
                    step.store_artifact("a", "text/plain", b"x"),
                    step.projection("q"),
                ):
                    try:
                        told.append(await call)
                    except RuntimeClosedError as error:
                        told.append(type(error))
        return "swallowed"

    other = Package("other", entrypoint=lambda run: run.step("s", kind="stubborn"))
    async with working(store, made) as rt:
        rt.register_package(other)
        await rt.start_run("other")
        await wait_all_tasks_blocked()
        crash(rt)
        before = dump(store.path)
    assert told == [RuntimeClosedError] * 3
    assert dump(store.path) == before


async def test_a_crash_ends_a_grace_that_has_begun(autojump_clock: MockClock, store: SQLiteStore) -> None:
    log: list[str] = []
    async with open_test_runtime(store=store, shutdown_grace=1000) as rt:
        rt.register_package(sleeper("p", math.inf, log))
        await rt.start_run("p")
        async with trio.open_nursery() as nursery:
            await nursery.start(rt.start_workers)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await trio.sleep(5)
                crash(rt)
        assert log == ["start 1", "cancelled 1"]
        assert trio.current_time() == 5
