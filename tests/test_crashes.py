"""Crashes: what a runtime held is taken up by another, never by two at once."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio
from stories import (
    Switch,
    define,
    ended,
    one_step,
    opened,
    opened_quietly,
    outcomes,
    status,
    working,
)
from trio.testing import MockClock

from trio_workflow import (
    QueueConfig,
    Retryable,
    RetryPolicy,
    RunBuilder,
    RuntimeClosedError,
    StepContext,
    executor,
)
from trio_workflow.testing import crash

LEASE = 30.0


async def test_after_a_crash_another_runtime_takes_the_step_up(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    starts: list[float] = []

    @executor("work")
    async def work(step: StepContext) -> int:
        starts.append(trio.current_time())
        if step.attempt == 1:
            await step.save({"page": 7})
            await trio.sleep_forever()
        return step.saved(dict[str, int])["page"]  # type: ignore[index]  # it was saved before

    async with opened(tmp_path, poll_interval=1) as two:
        define(two, work)
        run = await two.start_run("p")
        async with working(two, queues=["other"]):  # a worker for something else is of no help
            async with trio.open_nursery() as nursery, opened_quietly(tmp_path) as one:
                define(one, work)
                nursery.start_soon(one.start_workers)
                await trio.sleep(25)
                crash(one)
            assert (await two.result(run.id, "s"), await status(two, run.id)) == (None, "running")
        async with working(two):
            await run.wait()
        assert await outcomes(two, run.id) == ["lease_lost", "succeeded"]
        assert (await ended(two, run.id)).value(int) == 7
        assert starts[1] == pytest.approx(50, abs=1.1)  # renewed at 20, crashed at 25


async def test_a_step_that_kills_its_process_does_not_loop_for_ever(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("kill")
    async def kill(step: StepContext) -> None:
        crash(running)
        await trio.sleep_forever()

    attempts = 0
    while attempts < 10:
        attempts += 1
        async with opened_quietly(tmp_path, max_lost_leases=3) as running, trio.open_nursery() as nursery:
            define(running, kill)
            if attempts == 1:
                await running.start_run("p", run_id="r")
            nursery.start_soon(running.start_workers)
            with suppress(RuntimeClosedError):  # it was killed again
                assert (await running.wait("r")).status == "failed"
                assert await outcomes(running, "r") == ["lease_lost"] * 3
                nursery.cancel_scope.cancel()
                break
    assert attempts == 4


async def test_attempts_of_one_step_never_overlap_while_stores_come_and_go(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Three runtimes lose and regain their store in turn; nobody runs a step beside another."""
    running: list[str] = []
    most = 0

    @executor("work")
    async def work(step: StepContext) -> None:
        nonlocal most
        running.append(step.idempotency_key)
        most = max(most, running.count(step.idempotency_key))
        try:
            await trio.sleep(45)
        finally:
            running.remove(step.idempotency_key)

    def start(run: RunBuilder) -> None:
        for _ in range(6):
            run.step(kind="work")

    switches = [Switch(tmp_path) for _ in range(3)]
    settings: dict[str, Any] = {
        "poll_interval": 1,
        "max_workers": 4,
        "max_lost_leases": 99,
        "queues": {"default": QueueConfig(8)},
    }
    async with (
        opened(tmp_path, store=switches[0], **settings) as one,
        opened(tmp_path, store=switches[1], **settings) as two,
        opened(tmp_path, store=switches[2], **settings) as three,
        trio.open_nursery() as nursery,
    ):
        for rt in (one, two, three):
            define(rt, work, graph=start)
            nursery.start_soon(rt.start_workers)
        runs = [await one.start_run("p") for _ in range(3)]
        for turn in range(12):
            switches[turn % 3].is_down = True
            await trio.sleep(40)
            switches[turn % 3].is_down = False
            await trio.sleep(15)
        for run in runs:
            assert (await run.wait()).status == "succeeded"
            for step in await one.steps(run.id):
                assert (await outcomes(one, run.id, step.id)).count("succeeded") == 1
        nursery.cancel_scope.cancel()
    assert most == 1


async def test_a_lost_lease_is_not_charged_to_the_retry_budget(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("work")
    async def work(step: StepContext) -> None:
        if step.attempt in (1, 3):
            autojump_clock.jump(100)
            await trio.sleep(1)
        raise Retryable("flaky")

    async with opened(tmp_path) as rt:
        define(rt, work, graph=one_step("work", retry=RetryPolicy(max_attempts=2)))
        run = await rt.start_run("p")
        async with working(rt):
            await run.wait()
        assert await outcomes(rt, run.id) == ["lease_lost", "retried", "lease_lost", "failed"]


async def test_a_small_step_of_the_wall_clock_takes_no_lease_from_its_own_worker(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("long")
    async def long(step: StepContext) -> None:
        await trio.sleep(45)

    switch = Switch(tmp_path)
    async with opened(tmp_path, store=switch, max_workers=2, default_queue=QueueConfig(2)) as rt:
        define(rt, long)
        run = await rt.start_run("p")
        async with working(rt):
            await trio.sleep(12)
            switch.is_down = True
            await trio.sleep(20)  # its lease runs until 40
            clock = rt._engine.clock
            clock.not_before(clock.now() + 9_000_000)  # by the store's time it has just run out
            switch.is_down = False
            await rt.start_run("p")  # has its own worker look for work, and for expired leases
            await run.wait()
        assert await outcomes(rt, run.id) == ["succeeded"]
