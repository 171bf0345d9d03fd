"""Queues: limits and rates that hold over runtimes and restarts, turns, and no time lost in between."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import trio
from stories import Switch, define, opened, states, working
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_workflow import QueueConfig, RateLimit, RunBuilder, StepContext, executor


@executor("noop")
async def noop(step: StepContext) -> None: ...


def on(queue: str, count: int, kind: str = "work") -> Any:
    def start(run: RunBuilder) -> None:
        for _ in range(count):
            run.step(kind=kind, queue=queue)

    return start


class Gauge:
    """How many executors run at once, and when each started."""

    def __init__(self, seconds: float) -> None:
        self.now = self.most = 0
        self.starts: list[float] = []

        @executor("work")
        async def work(step: StepContext) -> None:
            self.starts.append(trio.current_time())
            self.now += 1
            self.most = max(self.most, self.now)
            await trio.sleep(seconds)
            self.now -= 1

        self.executor = work

    def most_within(self, window: float) -> int:
        return max(sum(at <= start <= at + window for start in self.starts) for at in self.starts)


async def test_a_limit_holds_over_two_runtimes(tmp_path: Path, autojump_clock: MockClock) -> None:
    gauge = Gauge(10)
    settings: dict[str, Any] = {"max_workers": 8, "poll_interval": 0.5, "queues": {"q": QueueConfig(3)}}
    async with opened(tmp_path, **settings) as one, opened(tmp_path, **settings) as two:
        for rt in (one, two):
            define(rt, gauge.executor, graph=on("q", 20))
        async with working(one), working(two):
            await (await one.start_run("p")).wait()
        assert gauge.most == 3
        assert len(gauge.starts) == 20


async def test_a_rate_holds_over_two_runtimes_and_restarts(tmp_path: Path, autojump_clock: MockClock) -> None:
    gauge = Gauge(0)
    rate, burst = 2, 5
    settings: dict[str, Any] = {
        "max_workers": 8,
        "poll_interval": 0.1,
        "queues": {"q": QueueConfig(8, RateLimit(rate, burst))},
    }
    for life in range(3):
        async with opened(tmp_path, **settings) as one, opened(tmp_path, **settings) as two:
            for rt in (one, two):
                define(rt, gauge.executor, graph=on("q", 40))
            if not life:
                await one.start_run("p", run_id="r")
            async with working(one), working(two):
                with trio.move_on_after(6):
                    await one.wait("r")
    assert len(gauge.starts) == 40
    for window in (0.0, 0.5, 1.0, 3.0, 10.0):
        assert gauge.most_within(window) <= burst + rate * window + 1e-6
    assert gauge.most_within(0.0) == burst
    assert gauge.starts[-1] == pytest.approx((40 - burst) / rate, abs=0.7)  # and no slower than allowed


async def test_the_last_to_open_decides_and_others_obey(tmp_path: Path, autojump_clock: MockClock) -> None:
    gauge = Gauge(10)
    async with opened(tmp_path, max_workers=9, poll_interval=1, queues={"q": QueueConfig(1)}) as one:
        define(one, gauge.executor, graph=on("q", 9))
        await one.start_run("p")
        async with working(one):
            await trio.sleep(5)
            assert gauge.now == 1
            async with opened(tmp_path, queues={"q": QueueConfig(4)}):
                await trio.sleep(2)
                assert gauge.now == 4  # the first obeys, in the middle of its work
        await trio.sleep(30)
    gauge.now = 0
    async with opened(tmp_path, max_workers=9) as unconfigured:
        define(unconfigured, gauge.executor)
        async with working(unconfigured):
            await trio.sleep(1)
            assert gauge.now == 4
        assert [queue.max_workers for queue in await unconfigured.queues()] == [4]


async def test_a_paused_queue_starts_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    gauge = Gauge(1)
    async with opened(tmp_path, poll_interval=1, queues={"q": QueueConfig(0)}) as rt:
        define(rt, gauge.executor, noop, graph=on("q", 2))
        define(rt, name="other", graph=on("other", 2, "noop"))
        run, other = await rt.start_run("p"), await rt.start_run("other")
        async with working(rt):
            await other.wait()
            await trio.sleep(1000)
            assert gauge.starts == []
            async with opened(tmp_path, queues={"q": QueueConfig(1)}):
                await run.wait()


async def test_queues_nobody_configured_have_the_default_limit(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    gauges = {name: Gauge(10) for name in ("a", "b")}
    async with opened(tmp_path, max_workers=9, default_queue=QueueConfig(2)) as rt:
        for name, gauge in gauges.items():
            work = executor(name)(gauge.executor.wraps.call)
            define(rt, work, graph=on(name, 5, name), name=name)
        runs = [await rt.start_run(name) for name in gauges]
        async with working(rt):
            for run in runs:
                await run.wait()
        assert [gauge.most for gauge in gauges.values()] == [2, 2]


async def test_zombies_keep_their_slot_in_the_process(tmp_path: Path, autojump_clock: MockClock) -> None:
    """The store's limit bounds leases, the process's the executors that really run."""
    running: list[int] = []

    @executor("work")
    async def work(step: StepContext) -> None:
        running.append(step.attempt)
        if step.attempt == 1:
            with trio.CancelScope(shield=True):
                await trio.sleep(200)
        running.remove(step.attempt)

    switch = Switch(tmp_path)
    async with opened(tmp_path, store=switch, max_workers=9, queues={"q": QueueConfig(2)}) as rt:
        define(rt, work, graph=on("q", 4))
        run = await rt.start_run("p")
        async with working(rt):
            await trio.sleep(1)
            switch.is_down = True
            await trio.sleep(60)
            switch.is_down = False
            await trio.sleep(60)
            assert rt.statistics().borrowed == {"q": 2}
            assert Counter(running) == {1: 2}
            assert (await run.wait()).status == "succeeded"
        assert rt.statistics().borrowed == {"q": 0}


async def test_max_workers_bounds_all_queues_together(tmp_path: Path, autojump_clock: MockClock) -> None:
    gauge = Gauge(10)

    def start(run: RunBuilder) -> None:
        for number in range(12):
            run.step(kind="work", queue=f"q{number % 4}")

    async with opened(tmp_path, max_workers=3, default_queue=QueueConfig(9)) as rt:
        define(rt, gauge.executor, graph=start)
        async with working(rt):
            await (await rt.start_run("p")).wait()
        assert gauge.most == 3
        assert trio.current_time() == pytest.approx(40, abs=0.1)


# --- turns -----------------------------------------------------------------------------------------------


async def test_no_queue_starves_another(tmp_path: Path, autojump_clock: MockClock) -> None:
    order: list[str] = []

    @executor("work")
    async def work(step: StepContext) -> None:
        order.append(step.step.queue)
        await trio.sleep(1)

    async with opened(tmp_path, default_queue=QueueConfig(1)) as rt:
        define(rt, work, graph=on("a", 50))
        define(rt, name="small", graph=on("b", 5))
        await rt.start_run("p")
        small = await rt.start_run("small")
        async with working(rt):
            await small.wait()
        assert len(order) <= 14
        assert order[:10].count("b") >= 4


async def test_no_run_starves_another(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        gauge = Gauge(1)
        define(rt, gauge.executor, graph=on("q", 300))
        define(rt, name="small", graph=on("q", 3))
        await rt.start_run("p")
        async with working(rt):
            await trio.sleep(10)
            small = await rt.start_run("small")
            await small.wait()
        assert len(gauge.starts) <= 20


async def test_what_cannot_be_claimed_stands_in_nobodys_way(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    def start(run: RunBuilder) -> None:
        for _ in range(50):
            run.step(kind="absent", queue="q", priority=9)
            run.step(kind="noop", queue="paused", priority=9)
            run.step(kind="noop", queue="q", priority=9, delay=10_000)
        run.step("last", kind="noop", queue="q", priority=-9)

    async with opened(tmp_path, queues={"paused": QueueConfig(0)}) as rt:
        define(rt, noop, graph=start)
        run = await rt.start_run("p")
        assert (await rt.run_once()).succeeded == 1
        assert (await states(rt, run.id))["last"] == "succeeded"


# --- time ------------------------------------------------------------------------------------------------


async def test_a_chain_of_steps_takes_no_virtual_time(tmp_path: Path, autojump_clock: MockClock) -> None:
    def start(run: RunBuilder) -> None:
        before: Any = ()
        for _ in range(100):
            before = run.step(kind="noop", depends_on=before)

    async with opened(tmp_path) as rt:
        define(rt, noop, graph=start)
        async with working(rt):
            await wait_all_tasks_blocked()
            assert (await (await rt.start_run("p")).wait()).status == "succeeded"
        assert trio.current_time() == 0


async def test_nor_does_a_chain_of_emitted_steps_over_queues(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("emit")
    async def emit(step: StepContext, left: int) -> int:
        if left:
            step.emit("", left - 1, kind="emit", queue=f"q{left % 3}")
        return left

    def start(run: RunBuilder) -> None:
        run.step("s", 40, kind="emit")

    async with opened(tmp_path, max_workers=2) as rt:
        define(rt, emit, graph=start)
        async with working(rt):
            run = await rt.start_run("p")
            assert (await run.wait()).status == "succeeded"
        assert trio.current_time() == 0
        assert len(await rt.steps(run.id)) == 41


async def test_another_runtimes_work_is_noticed_within_a_poll(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path, poll_interval=7) as one, opened(tmp_path) as two:
        define(one, noop)
        define(two, graph=on("q", 1, "noop"))
        async with working(one):
            await trio.sleep(8)
            run = await two.start_run("p")
            await trio.sleep(7.1)
            assert await states(two, run.id) == {"step:001": "succeeded"}


async def test_one_that_never_looks_waits_for_no_other(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path, poll_interval=math.inf) as one, opened(tmp_path) as two:
        define(one, noop)
        define(two, graph=on("q", 1, "noop"))
        async with working(one):
            await wait_all_tasks_blocked()
            run = await two.start_run("p")
            await trio.sleep(1000)
            assert await two.result(run.id, "step:001") is None
