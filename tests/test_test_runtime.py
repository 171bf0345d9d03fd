"""open_test_runtime: a runtime on files of its own, which are gone with its block."""

import math
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import trio
from trio.testing import MockClock

import trio_workflow.testing
from trio_workflow import ConfigError, Package, RunBuilder, Runtime, SQLiteStore, StepContext
from trio_workflow.runtime.runtime import engine_of
from trio_workflow.testing import open_test_runtime, run_until_idle

uses_everything = Package("p")


@uses_everything.entrypoint
def start(run: RunBuilder) -> None:
    run.step("s", kind="work")


@uses_everything.executor("work")
async def work(step: StepContext) -> str:
    ref = await step.store_artifact("a", "text/plain", b"bytes")
    rows = await step.projection("p")
    await rows.execute("CREATE TABLE t (x)")
    return ref.uri


async def test_artifacts_and_projections_work_and_the_folder_goes(autojump_clock: MockClock) -> None:
    async with open_test_runtime() as rt:
        rt.register_package(uses_everything)
        handle = await rt.start_run("p")
        await run_until_idle(rt)
        result = await rt.result(handle.id, "s")
        assert result is not None
        path = trio.Path(unquote(urlsplit(result.value(str)).path))
        assert await path.read_bytes() == b"bytes"
        async with rt.open_artifact(handle.id, "s", "a.ref.json") as reader:
            assert await reader.read() == b"bytes"
        assert await (await rt.projection("p")).query("SELECT * FROM t") == []
    assert not await path.parents[2].exists()


async def test_two_are_apart_unless_they_are_given_one_store(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    store = SQLiteStore(tmp_path / "e.db", synchronous="OFF")
    async with (
        open_test_runtime() as alone,
        open_test_runtime(store=store) as first,
        open_test_runtime(store=store) as second,
    ):
        first.register_package(uses_everything)
        handle = await first.start_run("p")
        assert await alone.workflow(handle.id) is None
        assert await second.workflow(handle.id) is not None
    assert (tmp_path / "e.db").exists()


def test_all_runtimes_of_a_trio_run_have_one_time(tmp_path: Path) -> None:
    """Also where the store holds a later time than the clock starts with, from an earlier trio run."""
    store = SQLiteStore(tmp_path / "e.db", synchronous="OFF")

    async def main() -> list[float]:
        await trio.sleep(100)
        async with open_test_runtime(store=store) as first:
            first.register_package(uses_everything)
            before = await created_at(first)
            await trio.sleep(50)
            async with open_test_runtime(store=store) as second:
                second.register_package(uses_everything)
                return [before, await created_at(second), await created_at(first)]

    async def created_at(rt: Runtime) -> float:
        run = await rt.workflow((await rt.start_run("p")).id)
        assert run is not None
        return run.created_at.timestamp()

    times = [at for _ in range(2) for at in trio.run(main, clock=MockClock(autojump_threshold=0))]
    assert [at - times[0] for at in times] == [0, 50, 50, 50, 100, 100]


async def test_any_setting_may_be_overridden(autojump_clock: MockClock) -> None:
    async with open_test_runtime(
        worker_id="w", poll_interval=1, artifact_store=None, projection_store=None
    ) as rt:
        rt.register_package(uses_everything)
        handle = await rt.start_run("p")
        assert (await rt.run_once()).failed == 1
        result = await rt.result(handle.id, "s")
        assert result is not None
        assert result.error is not None
        assert result.error.message == "ConfigError: artifact store is not configured"
        assert result.attempts[0].worker_id == "w"
    with pytest.raises(ConfigError, match="max_workers"):
        async with open_test_runtime(max_workers=0):
            pass
    with pytest.raises(TypeError, match="workers_max"):
        async with open_test_runtime(workers_max=1):
            pass


async def test_by_default_it_never_polls(autojump_clock: MockClock) -> None:
    async with open_test_runtime() as rt:
        assert engine_of(rt).config.poll_interval == math.inf


async def test_an_error_of_the_block_comes_out_as_itself() -> None:
    with pytest.raises(ZeroDivisionError):
        async with open_test_runtime():
            raise ZeroDivisionError


def test_what_is_public() -> None:
    functions = {
        "open_test_runtime",
        "run_until_idle",
        "run_executor",
        "plan",
        "deterministic",
        "crash",
        "simulate",
    }
    values = {"Outcome", "Plan", "PlannedStep", "Campaign", "Fault", "SimulationError", "simulate"}
    assert set(trio_workflow.testing.__all__) == functions | values
