"""Events, statistics, queues at a glance, and the few lines that are logged."""

import logging
import sqlite3
from pathlib import Path

import pytest
import trio
from stories import Switch, define, one_step, opened, recorded, status, working
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_workflow import (
    Event,
    QueueConfig,
    RateLimit,
    Retryable,
    RunBuilder,
    StepContext,
    executor,
)


@executor("noop")
async def noop(step: StepContext) -> None: ...


@executor("sleep")
async def sleeper(step: StepContext) -> None:
    await trio.sleep(50)


def story(events: list[Event]) -> list[str]:
    return [f"{e.kind} {e.step_id or e.step_kind or e.queue or ''} {e.status or ''}".strip() for e in events]


async def test_a_run_tells_its_story_in_order(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("flaky")
    async def flaky(step: StepContext) -> None:
        if step.attempt == 1:
            raise Retryable("busy", "503")

    @executor("fail")
    async def fail(step: StepContext) -> None:
        raise RuntimeError("broken")

    def start(run: RunBuilder) -> None:
        first = run.step("flaky", kind="flaky")
        second = run.step("bad", kind="fail", depends_on=first)
        run.step("needs", kind="flaky", depends_on=second)

    async with opened(tmp_path, worker_id="w") as rt:
        define(rt, flaky, fail, graph=start)
        async with recorded(rt) as events, working(rt):
            run = await rt.start_run("p", run_id="r", name="Run")
            await run.wait()
            await wait_all_tasks_blocked()
        assert story(events) == [
            "run_created  pending",
            "run_updated  running",
            "step_leased flaky running",
            "step_retried flaky ready",
            "step_leased flaky running",
            "step_succeeded flaky succeeded",
            "step_leased bad running",
            "step_failed bad failed",
            "step_canceled needs canceled",
            "run_updated  failed",
        ]
        created, retried, failed = events[0], events[3], events[7]
        assert (created.run_id, created.package, created.message, created.worker_id) == ("r", "p", "Run", "w")
        assert (retried.attempt, retried.queue, retried.step_kind) == (1, "default", "flaky")
        assert retried.error is not None
        assert (retried.error.code, retried.message) == ("busy", "503")
        assert failed.error is not None
        assert failed.error.code == "executor_error"
        assert all(event.at.tzinfo is not None for event in events)
        assert [event.at for event in events] == sorted(event.at for event in events)


async def test_a_lease_says_how_long_its_step_had_waited(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        define(rt, noop, graph=one_step("noop", delay=5))
        await rt.start_run("p")
        await trio.sleep(12)
        async with recorded(rt) as events:
            await rt.run_once()
        assert [e.queue_wait for e in events if e.kind == "step_leased"] == [pytest.approx(7)]


async def test_releases_cancels_and_lost_leases_are_told(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("block")
    async def block(step: StepContext) -> None:
        if step.attempt == 1:
            autojump_clock.jump(100)
            await trio.sleep(1)

    async with opened(tmp_path) as rt:
        define(rt, block, sleeper)
        define(rt, name="q", graph=one_step("sleep"))
        async with recorded(rt) as events:
            lost = await rt.start_run("p")
            async with working(rt):
                await lost.wait()
                released = await rt.start_run("q")
                await trio.sleep(1)
            await rt.cancel_run(released.id)
        kinds = [event.kind for event in events]
        assert kinds.count("lease_lost") == 1
        assert kinds[-3:] == ["step_released", "step_canceled", "run_updated"]


async def test_a_reader_that_falls_behind_loses_the_oldest(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        define(rt, noop)
        async with rt.events(buffer=3) as stream:
            for number in range(5):
                await rt.start_run("p", run_id=f"r{number}")
            assert stream.dropped == 2
            assert [(await stream.receive()).run_id for _ in range(3)] == ["r2", "r3", "r4"]
            with trio.move_on_after(1) as scope:
                await stream.receive()
            assert scope.cancelled_caught
        with pytest.raises(trio.ClosedResourceError):
            await stream.receive()
        for buffer in (0, -1, 1.5, True):
            with pytest.raises(ValueError, match="buffer"):
                rt.events(buffer=buffer)  # type: ignore[arg-type]  # wrong on purpose


async def test_what_another_runtime_does_is_not_told(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as one, opened(tmp_path) as two:
        define(one, noop)
        async with recorded(two) as events:
            await one.start_run("p")
            await one.run_once()
        assert events == []


async def test_statistics_count(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path, max_workers=5, queues={"default": QueueConfig(3)}) as rt:
        define(rt, sleeper)
        for _ in range(4):
            await rt.start_run("p")
        async with working(rt):
            await trio.sleep(25)
            found = rt.statistics()
            assert (found.running, found.borrowed, found.free) == (3, {"default": 3}, {"default": 0})
            assert (found.renewals, found.lost_leases) == (6, 0)
        assert rt.statistics().running == 0
        assert found.commits >= 7
        with pytest.raises(AttributeError):
            found.running = 7  # type: ignore[misc]  # frozen: that is what is tested


async def test_queues_show_what_waits(tmp_path: Path, autojump_clock: MockClock) -> None:
    def start(run: RunBuilder) -> None:
        for number in range(4):
            run.step(f"a{number}", kind="sleep", queue="a")
        run.step("b", kind="sleep", queue="b", delay=1000)
        run.step("c", kind="sleep", queue="c", depends_on="b")

    limit = RateLimit(0.1, burst=5)
    async with opened(
        tmp_path, max_workers=9, queues={"a": QueueConfig(2, limit), "z": QueueConfig(0)}
    ) as rt:
        define(rt, sleeper, graph=start)
        await rt.start_run("p")
        async with working(rt):
            await trio.sleep(1)
            found = {q.queue: q for q in await rt.queues()}
        assert (found["a"].ready, found["a"].running, found["a"].max_workers) == (2, 2, 2)
        assert found["a"].rate_limit == limit
        assert found["a"].tokens == pytest.approx(3, abs=1)
        assert found["a"].oldest_ready_at is not None
        assert (found["z"].ready, found["z"].running, found["z"].max_workers) == (0, 0, 0)
        assert (found["z"].rate_limit, found["z"].tokens, found["z"].oldest_ready_at) == (None, None, None)
        assert found["b"].running == 0


async def test_a_kind_nobody_has_waits_and_is_told_once(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(tmp_path) as rt:
        define(rt, graph=one_step("absent"))
        define(rt, noop, name="q")
        run = await rt.start_run("p")
        async with recorded(rt) as events, working(rt):
            for _ in range(3):
                await (await rt.start_run("q")).wait()
                await rt.start_run("p")
            await wait_all_tasks_blocked()
            assert story([e for e in events if e.kind == "kind_unclaimed"]) == ["kind_unclaimed absent"]
            warnings = [r.message for r in caplog.records if r.levelno == logging.WARNING]
            assert len(warnings) == 1
            assert '"absent"' in warnings[0]
            assert await status(rt, run.id) == "pending"
            rt.register_executor(executor("absent")(late))  # wakes the workers
            assert (await run.wait()).status == "succeeded"


async def late(step: StepContext) -> None: ...


async def test_a_rate_limit_is_told_when_it_begins(tmp_path: Path, autojump_clock: MockClock) -> None:
    def start(run: RunBuilder) -> None:
        for _ in range(6):
            run.step(kind="noop", queue="q")

    async with opened(tmp_path, queues={"q": QueueConfig(9, RateLimit(1))}, max_workers=9) as rt:
        define(rt, noop, graph=start)
        async with recorded(rt) as events, working(rt):
            await (await rt.start_run("p")).wait()
            await trio.sleep(100)
            await (await rt.start_run("p")).wait()
            await wait_all_tasks_blocked()
        assert story([e for e in events if e.kind == "queue_rate_limited"]) == ["queue_rate_limited q"] * 2


async def test_the_default_queue_says_once_that_it_holds_back_free_workers(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "trio_workflow")

    def start(run: RunBuilder) -> None:
        for number in range(6):
            run.step(kind="sleep", queue=f"q{number % 2}")

    async with opened(tmp_path, max_workers=4) as rt:
        define(rt, sleeper, graph=start)
        async with working(rt):
            await (await rt.start_run("p")).wait()
    lines = [r.message for r in caplog.records if "default_queue" in r.message]
    assert sorted(line.split('"')[1] for line in lines) == ["q0", "q1"]
    assert all(r.levelno == logging.INFO for r in caplog.records if "default_queue" in r.message)


async def test_a_store_that_cannot_be_written_is_told_when_it_begins_and_ends(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    switch = Switch(tmp_path)
    async with opened(tmp_path, store=switch, poll_interval=0.25) as rt, opened(tmp_path) as other:
        define(rt, noop)
        define(other, graph=one_step("noop"))
        async with recorded(rt) as events, working(rt):
            await trio.sleep(1)
            switch.is_down = True
            run = await other.start_run("p")
            rt.register_executor(executor("wakes")(late))
            await trio.sleep(60)
            switch.is_down = False
            await rt.wait(run.id)
            await wait_all_tasks_blocked()
        assert [e.kind for e in events if e.kind.startswith("store_")] == [
            "store_unavailable",
            "store_available",
        ]
        assert len([r for r in caplog.records if r.levelno >= logging.WARNING]) <= 2


async def test_with_a_full_disk_outcomes_wait_and_workers_go_on_by_themselves(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("large")
    async def large(step: StepContext) -> str:
        await trio.sleep(1)
        return "x" * 500_000

    async with opened(tmp_path, max_workers=4, default_queue=QueueConfig(4)) as rt:
        define(rt, large)
        runs = [await rt.start_run("p") for _ in range(4)]
        connection: sqlite3.Connection = rt._engine.store._committer._conn  # type: ignore[attr-defined]  # a look inside
        [pages] = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages + 3}")
        async with recorded(rt) as events, working(rt):
            await trio.sleep(5)
            assert "store_unavailable" in [event.kind for event in events]
            assert {await status(rt, run.id) for run in runs} == {"running"}
            connection.execute("PRAGMA max_page_count = 1000000")
            for run in runs:
                assert (await run.wait()).status == "succeeded"
            await wait_all_tasks_blocked()
        kinds = [event.kind for event in events]
        assert kinds.count("store_unavailable") == kinds.count("store_available") == 1
        assert kinds.count("step_leased") == 4
