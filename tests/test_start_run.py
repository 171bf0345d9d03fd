"""Starting runs: ids, names, metadata, many in one commit, and a run id that is taken."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio
from stories import define, one_step, opened, states
from trio.testing import MockClock

from trio_workflow import (
    CycleResult,
    Package,
    RunBuilder,
    RunExistsError,
    StartRun,
    StepContext,
    WorkflowError,
    executor,
)

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
NONE = CycleResult(refreshed=0, processed=0, succeeded=0, retried=0, failed=0, canceled=0, released=0)


@executor("noop")
async def noop(step: StepContext) -> None: ...


async def test_ids_and_names_have_defaults(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        define(rt, noop)
        rt.register_package(Package("q", display_name="Queue", entrypoint=one_step("noop")))
        first, second = await rt.start_run("p"), await rt.start_run("q")
        assert re.fullmatch(f"p-{UUID}", first.id)
        assert re.fullmatch(f"q-{UUID}", second.id)
        assert [(first.package, first.name), (second.package, second.name)] == [("p", "p"), ("q", "Queue")]
        assert (await rt.start_run("q", name="mine")).name == "mine"


async def test_what_the_entrypoint_sets_wins(tmp_path: Path, autojump_clock: MockClock) -> None:
    def start(run: RunBuilder, book: str) -> None:
        assert (run.id, run.package) == ("r", "p")
        run.name(f"OCR {book}")
        run.metadata("book", book)
        run.step("s", kind="noop")

    async with opened(tmp_path) as rt:
        define(rt, noop, graph=start)
        await rt.start_run("p", "b1", run_id="r", name="other", metadata={"book": "x", "user": "u"})
        run = await rt.workflow("r")
        assert run is not None
        assert (run.name, run.metadata, run.input) == ("OCR b1", {"book": "b1", "user": "u"}, '"b1"')
        assert (run.status, run.created_at, run.started_at, run.finished_at) == ("pending", EPOCH, None, None)


async def test_an_entrypoint_may_be_async(tmp_path: Path, autojump_clock: MockClock) -> None:
    async def start(run: RunBuilder) -> None:
        await trio.sleep(1)
        run.step("s", kind="noop")

    async with opened(tmp_path) as rt:
        define(rt, noop, graph=start)
        assert await states(rt, (await rt.start_run("p")).id) == {"s": "ready"}


async def test_if_exists_return_answers_the_same_run_only(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        define(rt, noop)
        define(rt, name="q", graph=one_step("noop"))
        first = await rt.start_run("p", {"a": 1}, run_id="r", name="one")
        again = await rt.start_run("p", {"a": 1}, run_id="r", name="two", if_exists="return")
        assert (again, again.name) == (first, "one")
        for package, other in (("p", {"a": 2}), ("q", {"a": 1})):
            with pytest.raises(RunExistsError):
                await rt.start_run(package, other, run_id="r", if_exists="return")
        assert len(await rt.steps("r")) == 1


async def test_many_runs_start_in_one_commit(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        define(rt, noop)
        before = rt.statistics().commits
        handles = await rt.start_runs([StartRun("p", n, run_id=f"r{n}") for n in range(20)])
        assert rt.statistics().commits == before + 1
        assert [handle.id for handle in handles] == [f"r{n}" for n in range(20)]
        assert await rt.start_runs([]) == []


async def test_of_many_runs_all_start_or_none(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        define(rt, noop)
        await rt.start_run("p", run_id="taken")
        for second in (StartRun("p", run_id="taken"), StartRun("p", run_id="new")):
            with pytest.raises(RunExistsError):
                await rt.start_runs([StartRun("p", run_id="new"), second])
        assert await rt.workflow("new") is None


async def test_a_run_builder_is_of_no_use_after_its_entrypoint(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    kept: list[RunBuilder] = []

    def start(run: RunBuilder) -> None:
        kept.append(run)
        run.step("s", kind="noop")

    async with opened(tmp_path) as rt:
        define(rt, noop, graph=start)
        run = await rt.start_run("p")
        with pytest.raises(WorkflowError, match="after its entrypoint"):
            kept[0].step("late", kind="noop")
        with pytest.raises(WorkflowError, match="after its entrypoint"):
            kept[0].name("late")
        with pytest.raises(WorkflowError, match="after its entrypoint"):
            kept[0].metadata("late", "yes")
        assert await states(rt, run.id) == {"s": "ready"}
