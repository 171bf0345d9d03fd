"""What depends on what: order, failures that reach further, dedup keys, priorities, delays."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio
from stories import define, ended, opened, states, status, working
from trio.testing import MockClock

from trio_workflow import (
    CycleResult,
    QueueConfig,
    RunBuilder,
    StepContext,
    StepHandle,
    executor,
    optional,
    require,
)

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
NONE = CycleResult(refreshed=0, processed=0, succeeded=0, retried=0, failed=0, canceled=0, released=0)


@executor("noop")
async def noop(step: StepContext) -> None: ...


@executor("fail")
async def fail(step: StepContext) -> None:
    raise RuntimeError("broken")


async def test_a_failure_reaches_exactly_the_required_dependents(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    def start(run: RunBuilder) -> None:
        bad = run.step("bad", kind="fail")
        good = run.step("good", kind="noop")
        needs = run.step("needs", kind="noop", depends_on=require(good) + optional(bad) + require(bad))
        run.step("transitive", kind="noop", depends_on=needs)
        run.step("tolerant", kind="noop", depends_on=[*optional(bad, needs), good])
        run.step("aside", kind="noop", depends_on=good)

    async with opened(tmp_path) as rt:
        define(rt, noop, fail, graph=start)
        run = await rt.start_run("p")
        async with working(rt):
            assert (await run.wait()).status == "failed"
        assert await states(rt, run.id) == {
            "bad": "failed",
            "good": "succeeded",
            "needs": "canceled",
            "transitive": "canceled",
            "tolerant": "succeeded",
            "aside": "succeeded",
        }
        causes = {step.id: step.canceled_by for step in await rt.steps(run.id)}
        assert (causes["needs"], causes["transitive"], causes["tolerant"]) == ("bad", "bad", None)


async def test_a_step_waits_for_what_it_depends_on(tmp_path: Path, autojump_clock: MockClock) -> None:
    ends: dict[str, float] = {}

    @executor("sleep")
    async def sleeper(step: StepContext) -> None:
        await trio.sleep(int(step.id))
        ends[step.id] = trio.current_time()

    def start(run: RunBuilder) -> None:
        run.step("20", kind="sleep", depends_on=[run.step("5", kind="sleep"), run.step("9", kind="sleep")])

    async with opened(tmp_path, max_workers=3, default_queue=QueueConfig(3)) as rt:
        define(rt, sleeper, graph=start)
        async with working(rt):
            await (await rt.start_run("p")).wait()
        assert ends == {"5": pytest.approx(5), "9": pytest.approx(9), "20": pytest.approx(29)}


async def test_an_allowed_failure_does_not_make_the_run_fail(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    def start(run: RunBuilder) -> None:
        bad = run.step("bad", kind="fail", allow_failure=True)
        run.step("needs", kind="noop", depends_on=bad)
        run.step("good", kind="noop")

    async with opened(tmp_path) as rt:
        define(rt, noop, fail, graph=start)
        run = await rt.start_run("p")
        async with working(rt):
            assert (await run.wait()).status == "succeeded"
        assert await states(rt, run.id) == {"bad": "failed", "needs": "canceled", "good": "succeeded"}
        await rt.retry_step(run.id, "bad")
        assert await states(rt, run.id) == {"bad": "ready", "needs": "pending", "good": "succeeded"}
        assert await status(rt, run.id) == "running"


async def test_the_first_of_a_dedup_key_stands_for_the_others(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("emits")
    async def emits(step: StepContext) -> str:
        step.emit("child", kind="noop", dedup_key="k")  # there already
        late = step.emit("late", kind="noop", dedup_key="fresh")
        step.emit("s", kind="noop", dedup_key="fresh")  # looked at before the id, which is taken
        step.emit("join", kind="join", depends_on=[late, StepHandle("child")])
        return "done"

    @executor("join")
    async def join(step: StepContext) -> list[str]:
        return [(await step.dependency_result(name)).step_id for name in ("child", "second", "late")]

    def start(run: RunBuilder) -> None:
        run.step("first", kind="noop", dedup_key="k")
        second = run.step("second", kind="noop", dedup_key="k")
        run.step("s", kind="emits", depends_on=second)

    async with opened(tmp_path) as rt:
        define(rt, noop, emits, join, graph=start)
        run = await rt.start_run("p")
        assert await states(rt, run.id) == {"first": "ready", "s": "pending"}
        async with working(rt):
            assert (await run.wait()).status == "succeeded"
        assert (await ended(rt, run.id, "s")).emitted_ids == ("late", "join")
        assert (await ended(rt, run.id, "join")).value(list[str]) == ["first", "first", "late"]
        alias = await rt.step(run.id, "second")
        assert alias is not None
        assert alias.id == "first"


async def test_higher_priorities_start_first(tmp_path: Path, autojump_clock: MockClock) -> None:
    order: list[int] = []

    @executor("note")
    async def note(step: StepContext) -> None:
        order.append(step.step.priority)

    def start(run: RunBuilder) -> None:
        for priority in (0, -9, 9, 5):
            run.step(kind="note", priority=priority)

    async with opened(tmp_path) as rt:
        define(rt, note, graph=start)
        async with working(rt):
            await (await rt.start_run("p")).wait()
        assert order == [9, 5, 0, -9]


async def test_a_delay_counts_from_when_the_step_becomes_ready(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    starts: dict[str, float] = {}

    @executor("note")
    async def note(step: StepContext) -> None:
        starts[step.id] = trio.current_time()

    def start(run: RunBuilder) -> None:
        first = run.step("first", kind="note", delay=10)
        run.step("then", kind="note", delay=3600, depends_on=first)

    async with opened(tmp_path) as rt:
        define(rt, note, graph=start)
        async with working(rt):
            await (await rt.start_run("p")).wait()
        assert starts == {"first": pytest.approx(10), "then": pytest.approx(3610)}
