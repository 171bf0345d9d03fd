"""Runs: waiting for them, cycles, retries by hand, lists, and their removal."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from stories import config, define, ended, one_step, opened, states, working
from trio.testing import MockClock

from trio_workflow import (
    Config,
    CycleResult,
    QueueConfig,
    RunBuilder,
    RunHandle,
    RunNotFoundError,
    Runtime,
    StepContext,
    StepHandle,
    StepStateError,
    executor,
    open_runtime,
)

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
NONE = CycleResult(refreshed=0, processed=0, succeeded=0, retried=0, failed=0, canceled=0, released=0)


@executor("noop")
async def noop(step: StepContext) -> None: ...


@executor("fail")
async def fail(step: StepContext) -> None:
    raise RuntimeError("broken")


def cycle(**counts: int) -> CycleResult:
    refreshed = counts.pop("refreshed", 0)
    return attrs.evolve(NONE, refreshed=refreshed, processed=sum(counts.values()), **counts)


def wide(count: int, **options: Any) -> Any:
    """An entrypoint of that many steps which do not depend on each other."""

    def start(run: RunBuilder) -> None:
        for number in range(count):
            run.step(f"s{number}", kind="noop", **options)

    return start


# --- waiting, cycles -------------------------------------------------------------------------------------


async def test_wait_answers_the_ended_run(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("sleep")
    async def sleeper(step: StepContext) -> None:
        await trio.sleep(60)

    async with opened(tmp_path) as rt:
        define(rt, sleeper)
        run = await rt.start_run("p")
        with trio.move_on_after(5) as scope:
            await run.wait()
        assert scope.cancelled_caught
        async with working(rt):
            found = await run.wait()
        assert found.status == "succeeded"
        assert trio.current_time() == pytest.approx(65)
        assert found == await rt.wait(run.id) == await rt.workflow(run.id)
        assert found.finished_at is not None
        assert (found.finished_at - EPOCH).total_seconds() == pytest.approx(65)


async def test_wait_ends_when_the_run_is_deleted(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        define(rt, noop)
        run = await rt.start_run("p")
        await rt.cancel_run(run.id)
        await rt.delete_run(run.id)
        with pytest.raises(RunNotFoundError, match=run.id):
            await run.wait()


async def test_a_cycle_counts_what_it_did(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path, max_workers=9, default_queue=QueueConfig(9)) as rt:
        define(rt, noop, fail, graph=wide(3))
        define(rt, name="q", graph=one_step("fail"))
        assert await rt.run_once() == NONE
        await rt.start_run("p")
        await rt.start_run("q")
        assert await rt.run_once() == cycle(succeeded=3, failed=1)
        assert await rt.run_once() == NONE


async def test_a_cycle_starts_at_most_max_workers_steps(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path, max_workers=3, default_queue=QueueConfig(9)) as rt:
        define(rt, noop, graph=wide(7))
        await rt.start_run("p")
        assert [(await rt.run_once()).processed for _ in range(4)] == [3, 3, 1, 0]


async def test_a_cycle_starts_at_most_a_queues_limit_of_that_queue(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    def start(run: RunBuilder) -> None:
        for number in range(4):
            run.step(f"a{number}", kind="noop", queue="a")
            run.step(f"b{number}", kind="noop", queue="b")

    queues = {"a": QueueConfig(1), "b": QueueConfig(3)}
    async with opened(tmp_path, max_workers=9, queues=queues) as rt:
        define(rt, noop, graph=start)
        run = await rt.start_run("p")
        assert await rt.run_once() == cycle(succeeded=4)
        done = [step.id for step in await rt.steps(run.id, status="succeeded")]
        assert sorted(done) == ["a0", "b0", "b1", "b2"]


async def test_steps_that_become_ready_start_in_the_same_cycle_while_the_allowance_lasts(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    def start(run: RunBuilder) -> None:
        before: Sequence[StepHandle] = ()
        for number in range(5):
            before = [run.step(f"s{number}", kind="noop", depends_on=before)]

    async with opened(tmp_path, max_workers=3, default_queue=QueueConfig(9)) as rt:
        define(rt, noop, graph=start)
        await rt.start_run("p")
        assert [(await rt.run_once()).succeeded for _ in range(3)] == [3, 2, 0]


# --- operators -------------------------------------------------------------------------------------------


async def test_a_step_that_stays_failed_runs_again_after_the_code_was_fixed(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    is_fixed = False

    @executor("work")
    async def work(step: StepContext) -> int:
        if not is_fixed:
            raise RuntimeError("broken")
        return step.attempt

    def start(run: RunBuilder) -> None:
        for name in ("a", "b"):
            run.step(name, kind="work")
        run.step("join", kind="noop", depends_on=["a", "b"])
        run.step("after", kind="noop", depends_on="join")

    async with opened(tmp_path) as rt:
        define(rt, work, noop, graph=start)
        run = await rt.start_run("p")
        async with working(rt):
            assert (await run.wait()).status == "failed"
            is_fixed = True
            await rt.retry_step(run.id, "a")
            await trio.sleep(1)
            # the other one is still failed, and now the cause
            assert await states(rt, run.id) == {
                "a": "succeeded",
                "b": "failed",
                "join": "canceled",
                "after": "canceled",
            }
            assert {s.canceled_by for s in await rt.steps(run.id, status="canceled")} == {"b"}
            with pytest.raises(StepStateError, match="succeeded"):
                await rt.retry_step(run.id, "a")
            await rt.retry_run(run.id)
            assert (await run.wait()).status == "succeeded"
        assert (await ended(rt, run.id, "b")).value(int) == 2


# --- lists -----------------------------------------------------------------------------------------------


async def test_lists_come_in_pages(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("record")
    async def record(step: StepContext) -> None:
        step.record("pages", step.id, {"at": step.id})
        step.record("other", step.id, None)

    async with opened(tmp_path, max_workers=9, default_queue=QueueConfig(9)) as rt:
        rt.register_executor(record)
        define(rt, graph=wide(5))
        define(rt, noop, name="q", graph=one_step("record"))
        for number in range(5):
            await rt.start_run("p" if number % 2 else "q", run_id=f"r{number}", metadata={"n": str(number)})
            await trio.sleep(1)
        async with working(rt):
            await rt.wait("r0")
            await rt.wait("r2")
            await rt.wait("r4")

        first = await rt.runs(limit=2)
        second = await rt.runs(limit=2, after=first.next)
        third = await rt.runs(limit=2, after=second.next)
        pages = [[run.id for run in page] for page in (first, second, third)]
        assert (pages, third.next, len(first)) == ([["r4", "r3"], ["r2", "r1"], ["r0"]], None, 2)
        assert [run.id for run in await rt.runs(package="q")] == ["r4", "r2", "r0"]
        assert [run.id for run in await rt.runs(metadata={"n": "3"})] == ["r3"]
        assert [run.id for run in await rt.runs(status="succeeded", package="q")] == ["r4", "r2", "r0"]

        page = await rt.steps("r1", limit=3)
        rest = await rt.steps("r1", limit=3, after=page.next)
        assert [step.id for step in (*page, *rest)] == [f"s{n}" for n in range(5)]
        assert rest.next is None

        page_of_records = await rt.records("pages", limit=2)
        others = await rt.records("pages", limit=2, after=page_of_records.next)
        assert (len(page_of_records), len(others), others.next) == (2, 1, None)
        assert {r.run_id for r in (*page_of_records, *others)} == {"r0", "r2", "r4"}
        assert [r.value() for r in await rt.records("pages", run_id="r2")] == [{"at": "s"}]
        for ask in (
            rt.runs,
            lambda limit: rt.steps("r1", limit=limit),
            lambda limit: rt.records("x", limit=limit),
        ):
            with pytest.raises(ValueError, match="limit"):
                await ask(limit=0)


async def test_ended_runs_can_be_removed(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path, max_workers=9, default_queue=QueueConfig(9)) as rt:
        define(rt, noop, graph=wide(2))
        for name in ("old", "mid", "new", "open"):
            await rt.start_run("p", run_id=name)
            if name != "open":
                await rt.run_once()
            await trio.sleep(100)
        assert await rt.prune(1000) == 0
        assert await rt.prune(300) == 2
        await rt.delete_run("new")
        assert [run.id for run in await rt.runs()] == ["open"]
        assert await rt.step("old", "s0") is None
        await rt.start_run("p", run_id="old")  # the id is free again
        with pytest.raises(ValueError, match="older_than"):
            await rt.prune(-1)


async def test_workers_remove_ended_runs_when_told_to(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path, keep_finished=600) as rt:
        define(rt, noop)
        async with working(rt):
            run = await rt.start_run("p")
            await run.wait()
            await trio.sleep(500)
            assert await rt.workflow(run.id) is not None
            await trio.sleep(200)
            assert await rt.workflow(run.id) is None


async def test_what_one_runtime_stored_the_next_one_reads(tmp_path: Path, autojump_clock: MockClock) -> None:
    handles: list[RunHandle] = []

    async def with_runtime(settings: Config) -> Runtime:
        async with open_runtime(settings) as rt:
            define(rt, noop)
            handles.append(await rt.start_run("p", run_id=f"r{len(handles)}"))
            return rt

    await with_runtime(config(tmp_path))
    await with_runtime(config(tmp_path))
    async with opened(tmp_path) as rt:
        define(rt, noop)
        async with working(rt):
            for handle in handles:
                assert (await rt.wait(handle.id)).status == "succeeded"
