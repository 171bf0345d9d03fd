"""Functions in threads, under a MockClock: time stands still while they run, and goes on while they wait."""

import threading
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_workflow import Executor, Package, RunBuilder, StepContext, executor
from trio_workflow.testing import open_test_runtime, run_executor, run_until_idle, simulate


def package_of(function: Executor[[StepContext], Any], steps: int = 1) -> Package:
    package = Package("threaded")

    @package.entrypoint
    def start(run: RunBuilder) -> None:
        for number in range(steps):
            run.step(f"s{number}", kind=function.kind)

    package.executors[function.kind] = function
    return package


@executor("waits")
def waits(step: StepContext) -> float:
    before: float = trio.from_thread.run_sync(trio.current_time)
    trio.from_thread.run(trio.sleep, 5)
    return trio.from_thread.run_sync(trio.current_time) - before


@executor("saves")
def saves(step: StepContext) -> None:
    trio.from_thread.run(step.save, 1)


async def test_a_thread_that_waits_for_the_event_loop_lets_time_go_on(autojump_clock: MockClock) -> None:
    with trio.fail_after(60):
        assert (await run_executor(waits)).value(float) == 5


async def test_so_do_many_at_once_and_autojump_is_given_back(autojump_clock: MockClock) -> None:
    async with open_test_runtime(max_workers=4) as rt:
        rt.register_package(package_of(waits, 8))
        run = await rt.start_run("threaded")
        await run_until_idle(rt)
        results = [await rt.result(run.id, f"s{n}") for n in range(8)]
        assert [result and result.value() for result in results] == [5.0] * 8
    assert autojump_clock.autojump_threshold == 0


async def test_time_stands_still_while_a_thread_runs_and_another_waits(autojump_clock: MockClock) -> None:
    other_waits, may_return, told = threading.Event(), threading.Event(), list[float]()

    @executor("runs")
    def runs(step: StepContext) -> None:
        other_waits.wait()
        may_return.wait()

    @executor("waits")
    def waits_a_little(step: StepContext) -> None:
        trio.from_thread.run_sync(other_waits.set)
        trio.from_thread.run(trio.sleep, 5)

    def look() -> None:
        for _ in range(20):
            told.append(trio.from_thread.run_sync(trio.current_time))
        may_return.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_executor, runs)
        nursery.start_soon(run_executor, waits_a_little)
        await trio.to_thread.run_sync(look)
    assert set(told) == {0.0}
    assert trio.current_time() == 5


async def test_a_cancel_reaches_a_thread_that_waits(autojump_clock: MockClock) -> None:
    @executor("waits")
    def waits_for_ever(step: StepContext) -> None:
        trio.from_thread.run(trio.sleep_forever)

    outcome = await run_executor(waits_for_ever, timeout=3)
    assert (outcome.status, trio.current_time()) == ("timeout", 3)


@pytest.mark.parametrize("function", [waits, saves], ids=["waits", "saves"])
def test_a_simulation_lets_threads_wait(function: Executor[[StepContext], Any]) -> None:
    assert simulate(package_of(function), seeds=range(6)).steps > 0
