"""What an executor sees and leaves behind: inputs, results, records, checkpoints, progress, children."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import pytest
import trio
from stories import define, ended, one_step, opened, outcomes, states, working
from trio.testing import MockClock

from trio_workflow import (
    Retryable,
    RunBuilder,
    StepContext,
    StepResult,
    WorkflowError,
    executor,
)


@executor("noop")
async def noop(step: StepContext) -> None: ...


class Color(Enum):
    RED = "red"


@attrs.frozen
class Page:
    number: int
    tags: frozenset[str]
    at: datetime
    key: UUID
    price: Decimal
    raw: bytes
    color: Color
    parent: "Page | None" = None


PAGE = Page(
    3, frozenset("ab"), datetime(2026, 1, 1, tzinfo=UTC), UUID(int=7), Decimal("1.10"), b"\x00", Color.RED
)


async def test_a_value_is_read_back_equal_wherever_it_went(tmp_path: Path, autojump_clock: MockClock) -> None:
    value = attrs.evolve(PAGE, parent=PAGE)

    @executor("first")
    async def first(step: StepContext, page: Page) -> Page:
        assert page == value == step.input(Page)
        step.record("pages", "3", page)
        await step.save(page)
        assert step.saved(Page) == page
        step.emit("child", page, kind="second")
        return page

    @executor("second")
    async def second(step: StepContext, page: Page) -> bool:
        return page == value == await step.dependency_data("s", Page)

    def start(run: RunBuilder, page: Page) -> None:
        assert page == value
        run.step("s", page, kind="first")

    async with opened(tmp_path) as rt:
        define(rt, first, second, graph=start)
        async with working(rt):
            run = await rt.start_run("p", value)
            await run.wait()
        result = await ended(rt, run.id)
        assert result.value(Page) == value
        assert result.records[0].value(Page) == value
        assert (await ended(rt, run.id, "child")).value(bool)
        before, after = await rt.step(run.id, "s"), await rt.step(run.id, "child")
        assert before is not None
        assert after is not None
        assert before.input == after.input == result.data == result.records[0].data


async def test_an_executor_sees_its_step(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("look")
    async def look(step: StepContext) -> None:
        assert (step.id, step.run_id, step.kind) == ("s", "r", "look")
        assert step.idempotency_key == "r/s"
        assert (step.workflow.id, step.workflow.status, step.workflow.metadata) == (
            "r",
            "running",
            {"m": "1"},
        )
        assert (step.step.status, step.step.metadata, step.raw_input) == ("running", {"a": "b"}, '{"n":1}')
        assert step.now == datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=trio.current_time())
        seen.append(step.attempt)
        if step.attempt < 3:
            raise Retryable("again")

    def start(run: RunBuilder) -> None:
        run.step("s", {"n": 1}, kind="look", metadata={"a": "b"})

    seen: list[int] = []
    async with opened(tmp_path) as rt:
        define(rt, look, graph=start)
        async with working(rt):
            await (await rt.start_run("p", run_id="r", metadata={"m": "1"})).wait()
        assert (seen, await outcomes(rt, "r")) == ([1, 2, 3], ["retried", "retried", "succeeded"])


async def test_everything_an_attempt_made_is_stored_together(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("work")
    async def work(step: StepContext) -> int | None:
        step.result("first")
        step.result("last")
        step.record("pages", "a", 1)
        step.record("pages", "a", [2])
        assert step.artifact("a.txt", "text/plain", b"text") == "r/s/artifact:001"
        assert step.artifact("b", "image/png", bytearray(b"i"), id="x/y%", kind="scan") == "r/s/x%2Fy%25"
        with pytest.raises(ValueError, match="already used"):
            step.artifact("c", "image/png", b"i", id="x/y%")
        with pytest.raises(TypeError, match="bytes"):
            step.artifact("c", "text/plain", "text")  # type: ignore[arg-type]  # wrong on purpose
        assert step.emit(kind="noop").id == "s:emit:001"
        assert step.emit("named", kind="noop", depends_on="s:emit:001").id == "named"
        assert await rt.records("pages") == await rt.records("none")  # nothing is stored yet
        return None

    async with opened(tmp_path) as rt:
        define(rt, work, noop)
        run = await rt.start_run("p", run_id="r")
        await rt.run_once()
        result = await ended(rt, run.id)
        assert (result.value(), result.emitted_ids) == ("last", ("s:emit:001", "named"))
        assert [(r.key, r.value()) for r in result.records] == [("a", 1), ("a", [2])]
        assert [(a.name, a.kind, a.body, a.size) for a in result.artifacts] == [
            ("a.txt", "text", b"text", 4),
            ("b", "scan", b"i", 1),
        ]
        child = await rt.step(run.id, "named")
        assert child is not None
        assert (child.parent_id, child.package, child.status) == ("s", "p", "pending")
        assert result.completed_at == datetime(2026, 1, 1, tzinfo=UTC)


async def test_nothing_of_a_failed_attempt_is_stored(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("work")
    async def work(step: StepContext) -> None:
        step.result("r")
        step.record("pages", "a", 1)
        step.artifact("a.txt", "text/plain", b"text")
        step.emit(kind="noop")
        raise RuntimeError("broken")

    async with opened(tmp_path) as rt:
        define(rt, work, noop)
        run = await rt.start_run("p")
        await rt.run_once()
        result = await ended(rt, run.id)
        assert (result.data, result.records, result.artifacts, result.emitted_ids) == (None, (), (), ())
        assert await states(rt, run.id) == {"s": "failed"}


async def test_a_checkpoint_is_read_by_the_next_attempt(tmp_path: Path, autojump_clock: MockClock) -> None:
    seen: list[int | None] = []

    @executor("work")
    async def work(step: StepContext) -> None:
        seen.append(step.saved(int))
        await step.save(step.attempt * 10)
        await step.save(step.attempt * 10 + 1)
        if step.attempt < 3:
            raise Retryable("again")

    async with opened(tmp_path) as rt:
        define(rt, work)
        async with working(rt):
            await (await rt.start_run("p")).wait()
        assert seen == [None, 11, 21]


async def test_progress_is_stored_with_the_next_renewal(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("work")
    async def work(step: StepContext) -> None:
        step.progress(1)
        step.progress(2, 10, "two")
        await trio.sleep(15)
        step.progress(5.5, message="\ud800")
        await trio.sleep(15)

    async with opened(tmp_path) as rt:
        define(rt, work)
        run = await rt.start_run("p")
        async with working(rt):
            found: list[Any] = []
            for _ in range(3):
                await trio.sleep(9 if not found else 2 if len(found) == 1 else 10)
                step = await rt.step(run.id, "s")
                assert step is not None
                found.append(
                    step.progress and (step.progress.done, step.progress.total, step.progress.message)
                )
            assert found == [None, (2, 10, "two"), (5.5, None, "\ufffd")]
            await run.wait()


async def test_a_step_context_is_of_no_use_after_its_attempt(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    kept: list[StepContext] = []

    @executor("work")
    async def work(step: StepContext) -> None:
        kept.append(step)
        if len(kept) == 1:
            raise Retryable("again")

    async with opened(tmp_path) as rt:
        define(rt, work, noop)
        async with working(rt):
            run = await rt.start_run("p")
            await run.wait()
        for step in kept:
            tries: list[Callable[[], Any]] = [
                partial(step.result, 1),
                partial(step.record, "c", "k", 1),
                partial(step.artifact, "a", "text/plain", b""),
                partial(step.emit, kind="noop"),
                partial(step.progress, 1),
            ]
            for attempt in tries:
                with pytest.raises(WorkflowError, match="after its attempt"):
                    attempt()
            with pytest.raises(WorkflowError, match="after its attempt"):
                await step.save(1)
            with pytest.raises(WorkflowError, match="after its attempt"):
                await step.dependency_result("s")
            with pytest.raises(WorkflowError, match="after its attempt"):
                await step.projection("p")
            with pytest.raises(WorkflowError, match="after its attempt"):
                await step.store_artifact("a", "text/plain", b"")
        assert await states(rt, run.id) == {"s": "succeeded"}
        assert (await ended(rt, run.id)).value() is None


async def test_a_def_executor_runs_in_a_thread_and_virtual_time_stands_still(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("first")
    def first(step: StepContext) -> dict[str, int]:
        return {"n": 1}

    @executor("second")
    def second(step: StepContext, input: str) -> tuple[str, StepResult | None, int]:
        data: dict[str, int] = trio.from_thread.run(step.dependency_data, "s", dict[str, int])
        trio.from_thread.run(step.save, 7)
        step.record("threads", input, data)
        return input, None, step.saved(int) or 0

    def start(run: RunBuilder) -> None:
        run.step("s", kind="first")
        run.step("t", "hi", kind="second", depends_on="s")

    async with opened(tmp_path) as rt:
        define(rt, first, second, graph=start)
        async with working(rt):
            run = await rt.start_run("p")
            assert (await run.wait()).status == "succeeded"
        assert (await ended(rt, run.id, "t")).value() == ["hi", None, 7]
        assert trio.current_time() == 0


async def test_an_executor_may_take_no_input_or_plain_json(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("plain")
    async def plain(step: StepContext, value) -> Any:  # type: ignore[no-untyped-def]  # untyped on purpose
        return value

    def start(run: RunBuilder) -> None:
        run.step("s", {"a": (1, b"x")}, kind="plain")

    async with opened(tmp_path) as rt:
        define(rt, plain, noop, graph=start)
        define(rt, name="q", graph=one_step("noop"))
        first, second = await rt.start_run("p"), await rt.start_run("q", {"ignored": True})
        async with working(rt):
            await first.wait()
            await second.wait()
        assert (await ended(rt, first.id)).value()["a"][0] == 1
        assert (await ended(rt, second.id)).data == "null"
