"""Stopping workers: steps are given back uncharged, with grace, by draining, or by an interrupt."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from stories import Switch, define, ended, opened, opened_quietly, outcomes, states, working
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_workflow import (
    ConfigError,
    QueueConfig,
    Retryable,
    RetryPolicy,
    RunBuilder,
    RuntimeClosedError,
    StepContext,
    WorkflowError,
    executor,
)


@executor("noop")
async def noop(step: StepContext) -> None: ...


@executor("sleep")
async def sleeper(step: StepContext) -> str:
    await trio.sleep(20)
    return "done"


def many(count: int, kind: str = "noop") -> Callable[[RunBuilder], None]:
    def start(run: RunBuilder) -> None:
        for _ in range(count):
            run.step(kind=kind)

    return start


async def test_stopping_gives_steps_back_uncharged(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("flaky")
    async def flaky(step: StepContext) -> None:
        if step.attempt <= 3:
            await trio.sleep_forever()
        raise Retryable("flaky")

    async with opened(tmp_path, default_retry=RetryPolicy(max_attempts=2), max_lost_leases=1) as rt:
        define(rt, flaky)
        run = await rt.start_run("p")
        for stop in range(3):
            async with working(rt):
                await trio.sleep(5)
                assert await states(rt, run.id) == {"s": "running"}
            assert await states(rt, run.id) == {"s": "ready"}
            assert await outcomes(rt, run.id) == ["released"] * (stop + 1)
        assert trio.current_time() == pytest.approx(15)  # as soon as they returned
        async with working(rt):
            await run.wait()
        assert await outcomes(rt, run.id) == ["released"] * 3 + ["retried", "failed"]


async def test_an_executor_that_swallows_the_stop_has_not_succeeded(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("stubborn")
    async def stubborn(step: StepContext) -> str:
        try:
            await trio.sleep(100)
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await trio.sleep(50)  # longer than its lease: it is renewed until it has returned
        return "done"

    async with opened(tmp_path) as rt, opened(tmp_path, poll_interval=1) as other:
        define(rt, stubborn)
        define(other, noop, name="q")
        run = await rt.start_run("p")
        async with working(other):
            async with working(rt):
                await trio.sleep(5)
            assert trio.current_time() == pytest.approx(55)
        assert await outcomes(rt, run.id) == ["released"]
        assert await states(rt, run.id) == {"s": "ready"}


async def test_grace_lets_running_steps_end(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path, shutdown_grace=60) as rt:
        define(rt, sleeper, graph=many(2, "sleep"))
        run = await rt.start_run("p")
        async with working(rt):
            await trio.sleep(5)
        assert trio.current_time() == pytest.approx(20)
        assert sorted((await states(rt, run.id)).values()) == ["ready", "succeeded"]  # nothing new starts


async def test_grace_ends(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path, shutdown_grace=10) as rt:
        define(rt, sleeper)
        run = await rt.start_run("p")
        async with working(rt):
            await trio.sleep(5)
        assert trio.current_time() == pytest.approx(15)
        assert await outcomes(rt, run.id) == ["released"]


async def test_drain_lets_running_steps_end_and_starts_nothing_new(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path, max_workers=2, default_queue=QueueConfig(2)) as rt:
        define(rt, sleeper, graph=many(5, "sleep"))
        run = await rt.start_run("p")
        await rt.drain()  # nothing to drain
        async with trio.open_nursery() as nursery:
            await nursery.start(rt.start_workers)
            await trio.sleep(5)
            await rt.drain()
            assert trio.current_time() == pytest.approx(20)
        assert sorted((await states(rt, run.id)).values()) == ["ready"] * 3 + ["succeeded"] * 2
        async with working(rt):
            assert (await run.wait()).status == "succeeded"


async def test_drain_covers_cycles(tmp_path: Path, autojump_clock: MockClock) -> None:
    def chain(run: RunBuilder) -> None:
        run.step("b", kind="sleep", depends_on=run.step("a", kind="sleep"))

    async with opened(tmp_path, max_workers=2, default_queue=QueueConfig(2)) as rt:
        define(rt, sleeper, graph=chain)
        run = await rt.start_run("p")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rt.run_once)
            await trio.sleep(5)
            await rt.drain()
            assert trio.current_time() == pytest.approx(20)
        assert await states(rt, run.id) == {"a": "succeeded", "b": "ready"}
        assert (await rt.run_once()).succeeded == 1


async def test_a_second_start_workers_is_refused(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        define(rt, noop)
        async with working(rt):
            with pytest.raises(WorkflowError, match="already running"):
                await rt.start_workers()
            await rt.drain()
            await wait_all_tasks_blocked()
            async with working(rt):
                assert (await (await rt.start_run("p")).wait()).status == "succeeded"


async def test_workers_stop_after_so_many_looks_for_work(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path, poll_interval=10) as rt:
        define(rt, sleeper)
        await rt.start_workers(max_cycles=4)  # finds nothing: the looks are apart
        assert trio.current_time() == pytest.approx(30)
        run = await rt.start_run("p")
        await rt.start_workers(max_cycles=1)  # waits for what it started
        assert await states(rt, run.id) == {"s": "succeeded"}
        assert trio.current_time() == pytest.approx(50)


async def test_workers_may_be_limited_to_queues(tmp_path: Path, autojump_clock: MockClock) -> None:
    def start(run: RunBuilder) -> None:
        for queue in ("a", "b", "c"):
            run.step(queue, kind="noop", queue=queue)

    async with opened(tmp_path) as rt:
        define(rt, noop, graph=start)
        run = await rt.start_run("p")
        async with working(rt, queues={"a", "c"}):
            await trio.sleep(10)
        assert await states(rt, run.id) == {"a": "succeeded", "b": "ready", "c": "succeeded"}


async def test_bad_arguments_of_start_workers_are_refused(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        for options in (
            {"queues": "default"},
            {"poll_interval": 0},
            {"poll_interval": "1"},
            {"max_cycles": 0},
        ):
            with pytest.raises(ConfigError, match=next(iter(options))):
                await rt.start_workers(**options)
        with pytest.raises(ValueError, match="queue"):
            await rt.start_workers(queues=[""])


async def test_leaving_the_block_stops_workers_of_an_outer_nursery(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    errors: list[BaseException | None] = []

    async def work() -> None:
        try:
            await rt.start_workers()
            errors.append(None)
        except RuntimeClosedError as error:
            errors.append(error)

    async with trio.open_nursery() as nursery:
        async with opened_quietly(tmp_path) as rt:
            define(rt, sleeper)
            run = await rt.start_run("p")
            nursery.start_soon(work)
            await trio.sleep(5)
        assert rt._engine.sessions.value == 0  # what was awaited
    assert len(errors) == 1
    async with opened(tmp_path) as rt:
        assert await outcomes(rt, run.id) == ["released"]


async def test_cancelling_a_cycle_gives_its_steps_back(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        define(rt, sleeper)
        run = await rt.start_run("p")
        with trio.move_on_after(5):
            await rt.run_once()
        assert await outcomes(rt, run.id) == ["released"]


async def test_a_thread_is_waited_for(tmp_path: Path) -> None:
    ends: list[str] = []

    @executor("thread")
    def thread(step: StepContext) -> None:
        trio.from_thread.run_sync(started.set)
        assert go.wait(10)  # it does not look whether it is cancelled
        ends.append("thread")

    async def let_go() -> None:
        await wait_all_tasks_blocked()  # the workers are being stopped, and wait
        go.set()

    started, go = trio.Event(), threading.Event()
    async with opened(tmp_path, patience=20) as rt, trio.open_nursery() as nursery:
        define(rt, thread)
        run = await rt.start_run("p")
        async with working(rt):
            await started.wait()
            nursery.start_soon(let_go)
        ends.append("workers")
        assert ends == ["thread", "workers"]
        assert await outcomes(rt, run.id) == ["released"]


async def test_giving_back_to_a_store_that_is_down_takes_no_more_than_some_seconds(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    switch = Switch(tmp_path)
    async with opened(tmp_path, store=switch) as rt, opened(tmp_path) as other:
        define(rt, sleeper)
        run = await rt.start_run("p")
        async with working(rt):
            await trio.sleep(1)
            switch.is_down = True
        assert trio.current_time() < 15
        assert await states(other, run.id) == {"s": "running"}  # until its lease runs out
        switch.is_down = False
        define(other, sleeper)
        async with working(other):
            await other.wait(run.id)
        assert await outcomes(other, run.id) == ["lease_lost", "succeeded"]


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("is_grouped", [False, True])
async def test_an_interrupt_in_an_executor_gives_the_step_back_and_comes_out_bare(
    tmp_path: Path, autojump_clock: MockClock, interrupt: type[BaseException], is_grouped: bool
) -> None:
    @executor("interrupted")
    async def interrupted(step: StepContext) -> str:
        if step.attempt > 1:
            return "done"
        await trio.sleep(1)
        error = interrupt("from the executor")
        raise BaseExceptionGroup("g", [ValueError(), error]) if is_grouped else error

    def start(run: RunBuilder) -> None:
        run.step("s", kind="interrupted")
        run.step("t", kind="sleep")

    async with opened(tmp_path, max_workers=2, default_queue=QueueConfig(2)) as rt:
        define(rt, interrupted, sleeper, graph=start)
        run = await rt.start_run("p")
        with pytest.raises(interrupt, match="from the executor"):
            await rt.start_workers()
        assert await outcomes(rt, run.id) == ["released"]
        assert await outcomes(rt, run.id, "t") == ["released"]
        async with working(rt):
            await run.wait()
        assert (await ended(rt, run.id)).value() == "done"
