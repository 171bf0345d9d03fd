"""run_until_idle beside other runtimes on the same store: the dead are waited for, the living are not."""

import math
from pathlib import Path

import pytest
import trio
from test_until_idle import noting, started, statuses
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_workflow import QueueConfig, RunHandle, SQLiteStore
from trio_workflow.testing import crash, open_test_runtime, run_until_idle


@pytest.fixture
def store(tmp_path: Path) -> SQLiteStore:
    return SQLiteStore(tmp_path / "engine.db", synchronous="OFF")


async def left_running(store: SQLiteStore, kind: str) -> RunHandle:
    """A run whose only step, of that kind, was running when its runtime died."""
    many = QueueConfig(max_workers=9)
    async with open_test_runtime(store=store, default_queue=many) as dying, trio.open_nursery() as nursery:
        noting(dying, kind, math.inf)
        run = await started(dying, {"kind": kind, "queue": kind}, name=kind)
        await nursery.start(dying.start_workers)
        await wait_all_tasks_blocked()
        crash(dying)
    return run


@pytest.mark.parametrize("queue", ["dead", "other"])
async def test_leases_of_the_dead_are_waited_for_and_those_of_the_living_are_not(
    autojump_clock: MockClock, store: SQLiteStore, queue: str
) -> None:
    many = QueueConfig(max_workers=9)
    async with (
        open_test_runtime(store=store, default_queue=many) as living,
        open_test_runtime(store=store, default_queue=many) as rt,
        trio.open_nursery() as nursery,
    ):
        noting(living, "live", math.inf)
        live = await started(living, {"kind": "live", "queue": queue}, name="live")
        await nursery.start(living.start_workers)
        await trio.sleep(5)
        dead = await left_running(store, "dead")
        times = noting(rt, "dead")
        with trio.fail_after(1000):
            await run_until_idle(rt)
        assert [round(at, 3) for _, at in times] == [5 + 30]
        assert await statuses(rt, dead) == ["succeeded"]
        assert await statuses(rt, live) == ["running"]
        nursery.cancel_scope.cancel()


async def test_who_dies_while_it_works_is_waited_for_too(
    autojump_clock: MockClock, store: SQLiteStore
) -> None:
    first = await left_running(store, "first")
    async with open_test_runtime(store=store) as rt:
        noting(rt, "first")
        noting(rt, "second")
        await started(rt, {"kind": "second", "queue": "own", "delay": 20})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_until_idle, rt)
            await trio.sleep(10)
            second = await left_running(store, "second")
        assert trio.current_time() == pytest.approx(40)
        assert await statuses(rt, first) == await statuses(rt, second) == ["succeeded"]


async def test_a_cancel_from_elsewhere_is_heard_while_it_works(
    autojump_clock: MockClock, store: SQLiteStore
) -> None:
    async with (
        open_test_runtime(store=store) as other,
        open_test_runtime(store=store, poll_interval=1) as rt,
        trio.open_nursery() as nursery,
    ):
        noting(rt, "k", math.inf)
        run = await started(rt, {"kind": "k"})
        nursery.start_soon(run_until_idle, rt)
        await trio.sleep(3.5)
        await other.cancel_run(run.id)
        await wait_all_tasks_blocked()
        nursery.cancel_scope.deadline = trio.current_time() + 2
    assert not nursery.cancel_scope.cancelled_caught
