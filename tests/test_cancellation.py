"""Cancelling runs: at once here, within a poll elsewhere, and nothing of the run happens afterwards."""

from pathlib import Path

import pytest
import trio
from stories import Switch, define, ended, opened, opened_quietly, outcomes, recorded, states, working
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_workflow import QueueConfig, RunBuilder, RunNotFoundError, StepContext, executor
from trio_workflow.testing import crash


@executor("noop")
async def noop(step: StepContext) -> None: ...


@executor("sleep")
async def sleeper(step: StepContext) -> str:
    await trio.sleep(1000)
    return "done"


def chain(run: RunBuilder) -> None:
    first = run.step("s", kind="sleep")
    run.step("then", kind="noop", depends_on=first)
    run.step("aside", kind="noop", delay=500)


async def test_cancel_run_reaches_a_running_await_at_once(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        define(rt, sleeper, noop, graph=chain)
        run = await rt.start_run("p")
        async with working(rt):
            await trio.sleep(7)
            await rt.cancel_run(run.id)
            await wait_all_tasks_blocked()
            assert rt.statistics().running == 0
            assert trio.current_time() == pytest.approx(7)
            assert (await run.wait()).status == "canceled"
            await trio.sleep(1000)
        assert set((await states(rt, run.id)).values()) == {"canceled"}
        assert await outcomes(rt, run.id) == ["canceled"]
        assert [step.canceled_by for step in await rt.steps(run.id)] == [None, None, None]


async def test_an_executor_that_swallows_the_cancel_has_not_succeeded(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("stubborn")
    async def stubborn(step: StepContext) -> str:
        step.emit("child", kind="noop")
        step.record("pages", "1", 1)
        with trio.CancelScope(shield=True):
            await trio.sleep(50)
            await step.save("late")
        return "done"

    async with opened(tmp_path) as rt:
        define(rt, stubborn, noop)
        run = await rt.start_run("p")
        async with working(rt), recorded(rt) as events:
            await trio.sleep(5)
            await rt.cancel_run(run.id)
            assert rt.statistics().running == 1  # it still is, and holds its slot
            await trio.sleep(60)
            assert rt.statistics().running == 0
            await wait_all_tasks_blocked()
        assert await states(rt, run.id) == {"s": "canceled"}
        assert (await ended(rt, run.id)).data is None
        assert await outcomes(rt, run.id) == ["canceled"]
        assert "step_succeeded" not in [event.kind for event in events]
        assert (await rt.records("pages")).items == ()


async def test_a_thread_sees_the_cancel(tmp_path: Path) -> None:
    @executor("thread")
    def thread(step: StepContext) -> None:
        trio.from_thread.run_sync(started.set)
        while True:  # a thread that works
            trio.from_thread.check_cancelled()

    started = trio.Event()
    async with opened(tmp_path, patience=20) as rt:
        define(rt, thread)
        run = await rt.start_run("p")
        async with working(rt):
            await started.wait()
            await rt.cancel_run(run.id)
            assert (await run.wait()).status == "canceled"
        assert rt.statistics().running == 0


async def test_a_cancel_from_another_runtime_is_seen_within_its_poll_interval(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    stopped = trio.Event()

    @executor("work")
    async def work(step: StepContext) -> None:
        try:
            await trio.sleep_forever()
        finally:
            stopped.set()

    async with opened(tmp_path, poll_interval=0.5) as one, opened(tmp_path) as two:
        define(one, work)
        run = await one.start_run("p")
        async with working(one):
            await trio.sleep(3.1)
            await two.cancel_run(run.id)
            await stopped.wait()
            assert trio.current_time() <= 3.61
            assert (await run.wait()).status == "canceled"
        assert await outcomes(two, run.id) == ["canceled"]


async def test_one_that_never_polls_hears_of_it_when_it_saves(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    saved: list[str] = []

    @executor("work")
    async def work(step: StepContext) -> None:
        await trio.sleep(5)
        try:
            await step.save("half")
            saved.append("went on")
        except trio.Cancelled:
            saved.append("was cancelled")
            raise

    async with opened(tmp_path) as one, opened(tmp_path) as two:
        define(one, work)
        run = await one.start_run("p")
        async with working(one):
            await trio.sleep(4)
            await two.cancel_run(run.id)
            await trio.sleep(2)
            assert saved == ["was cancelled"]
            assert one.statistics().running == 0


async def test_a_slot_that_a_cancel_took_from_a_dead_process_is_claimed_at_once(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path) as rt:
        define(rt, noop)
        define(rt, sleeper, name="q")
        async with opened_quietly(tmp_path) as dead, trio.open_nursery() as nursery:
            define(dead, sleeper, name="q")
            run = await dead.start_run("q")
            await nursery.start(dead.start_workers)
            await trio.sleep(5)
            crash(dead)
        async with working(rt):
            other = await rt.start_run("p")
            await trio.sleep(5)
            assert await states(rt, other.id) == {"s": "ready"}
            await rt.cancel_run(run.id)
            await other.wait()
            assert trio.current_time() == pytest.approx(10)


async def test_one_that_never_polls_hears_of_it_at_its_next_renewal(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as two:
        define(one, sleeper)
        run = await one.start_run("p")
        async with working(one):
            await trio.sleep(5)
            await two.cancel_run(run.id)
            await trio.sleep(4.5)
            assert one.statistics().running == 1
            await trio.sleep(1)
            assert one.statistics().running == 0
            assert one.statistics().lost_leases == 1


async def test_nothing_of_a_canceled_run_starts_emits_or_succeeds(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Many steps end while the cancel is under way; of what it stopped nothing shows up later."""
    after: list[str] = []
    is_canceled = False

    @executor("emit")
    async def emit(step: StepContext) -> None:
        if is_canceled:
            after.append(step.id)
        await trio.sleep(1)
        step.emit(kind="emit")

    def start(run: RunBuilder) -> None:
        for _ in range(20):
            run.step(kind="emit")

    async with opened(tmp_path, max_workers=10, default_queue=QueueConfig(10)) as rt:
        define(rt, emit, graph=start)
        run = await rt.start_run("p")
        async with working(rt):
            await trio.sleep(3)  # as a batch of them ends
            await rt.cancel_run(run.id)
            is_canceled = True
            there = await states(rt, run.id)
            await trio.sleep(100)
        assert await states(rt, run.id) == there
        assert set(there.values()) == {"succeeded", "canceled"}
        assert after == []


async def test_cancelling_again_or_too_late_changes_nothing(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path) as rt:
        define(rt, noop)
        done, canceled = await rt.start_run("p"), await rt.start_run("p")
        await rt.run_once()
        for run in (done, canceled):
            await rt.cancel_run(run.id)
        before = [await rt.workflow(run.id) for run in (done, canceled)]
        await trio.sleep(10)
        for run in (done, canceled):
            await rt.cancel_run(run.id)
        assert [await rt.workflow(run.id) for run in (done, canceled)] == before
        assert [run.status for run in before if run] == ["succeeded", "canceled"]
        with pytest.raises(RunNotFoundError, match="ghost"):
            await rt.cancel_run("ghost")


async def test_a_cycle_counts_what_was_canceled_under_it(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt, trio.open_nursery() as nursery:
        define(rt, sleeper)
        run = await rt.start_run("p")

        async def cancel_soon() -> None:
            await trio.sleep(1)
            await rt.cancel_run(run.id)

        nursery.start_soon(cancel_soon)
        cycle = await rt.run_once()
        assert (cycle.processed, cycle.canceled) == (1, 1)


async def test_a_canceled_run_whose_outcome_waits_for_the_store_stays_canceled(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("quick")
    async def quick(step: StepContext) -> str:
        await trio.sleep(2)
        return "done"

    switch = Switch(tmp_path)
    async with opened(tmp_path, store=switch) as one, opened(tmp_path) as two:
        define(one, quick)
        run = await one.start_run("p")
        async with working(one):
            await trio.sleep(1)
            switch.is_down = True
            await trio.sleep(5)  # it has ended, and its outcome cannot be stored
            await two.cancel_run(run.id)
            switch.is_down = False
            await trio.sleep(5)
        assert await states(two, run.id) == {"s": "canceled"}
        assert (await ended(two, run.id)).data is None
