"""The block a runtime lives in: who wins when things fail, and that nothing outlives it."""

# ruff: noqa: PT012 - what comes out of a whole block is what is tested

import os
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio
from file_kit import content
from stories import config, define, opened, opened_quietly, working
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_workflow import (
    FileArtifactStore,
    Package,
    RunHandle,
    Runtime,
    RuntimeClosedError,
    RuntimeCrashedError,
    SQLiteProjectionStore,
    StepContext,
    StoreLostError,
    WorkflowError,
    executor,
    open_runtime,
)
from trio_workflow.testing import crash


@executor("noop")
async def noop(step: StepContext) -> None: ...


@executor("sleep")
async def sleeper(step: StepContext) -> None:
    await trio.sleep_forever()


def noop_thread(step: StepContext) -> None: ...


# --- who wins --------------------------------------------------------------------------------------------


async def test_an_error_of_the_block_comes_out_as_itself(tmp_path: Path, autojump_clock: MockClock) -> None:
    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        async with opened_quietly(tmp_path):
            raise error
    assert caught.value is error
    assert (error.__cause__, error.__context__) == (None, None)


async def test_also_when_workers_run_in_an_outer_nursery(tmp_path: Path, autojump_clock: MockClock) -> None:
    with pytest.raises(BaseExceptionGroup) as caught:
        async with trio.open_nursery() as nursery:
            with pytest.raises(ValueError, match="mine"):
                async with opened_quietly(tmp_path) as rt:
                    define(rt, sleeper)
                    nursery.start_soon(rt.start_workers)
                    await rt.start_run("p")
                    await trio.sleep(5)
                    raise ValueError("mine")
            raise KeyError("after")
    assert [type(error) for error in caught.value.exceptions] == [KeyError]


async def test_a_nursery_of_the_caller_makes_its_usual_group_and_no_other(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    error = ValueError("mine")
    with pytest.raises(ExceptionGroup) as caught:
        async with opened_quietly(tmp_path) as rt, trio.open_nursery() as nursery:
            define(rt, sleeper)
            await nursery.start(rt.start_workers)
            await rt.start_run("p")
            await trio.sleep(5)
            raise error
    assert caught.value.exceptions == (error,)


async def test_a_cancel_passes_through_the_block(tmp_path: Path, autojump_clock: MockClock) -> None:
    with trio.move_on_after(5) as scope:
        async with opened_quietly(tmp_path) as rt, trio.open_nursery() as nursery:
            define(rt, sleeper)
            await nursery.start(rt.start_workers)
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert trio.current_time() == pytest.approx(5)


async def test_a_block_may_end_with_an_interrupt(tmp_path: Path, autojump_clock: MockClock) -> None:
    with pytest.raises(KeyboardInterrupt):
        async with opened_quietly(tmp_path):
            raise KeyboardInterrupt


# --- crashes of the engine -------------------------------------------------------------------------------


def lose(folder: Path) -> None:
    (folder / "engine.db").unlink()


async def test_a_deleted_database_ends_the_block_and_the_workers(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    ends: list[BaseException] = []
    stopped: list[float] = []

    @executor("work")
    async def work(step: StepContext) -> None:
        try:
            await trio.sleep_forever()
        finally:
            stopped.append(trio.current_time())

    async def run_workers() -> None:
        try:
            await rt.start_workers()
        except RuntimeCrashedError as error:
            ends.append(error)

    with trio.fail_after(100):
        async with trio.open_nursery() as nursery:
            with pytest.raises(RuntimeCrashedError, match="deleted") as caught:
                async with opened_quietly(tmp_path) as rt:
                    define(rt, work)
                    await rt.start_run("p")
                    nursery.start_soon(run_workers)
                    await trio.sleep(15)
                    lose(tmp_path)
                    await trio.sleep_forever()
    assert isinstance(caught.value.__cause__, StoreLostError)
    assert len(ends) == 1
    assert isinstance(ends[0].__cause__, StoreLostError)
    assert stopped == [trio.current_time()] == [pytest.approx(20, abs=0.1)]  # within a renewal interval


async def test_idle_workers_notice_it_too(tmp_path: Path, autojump_clock: MockClock) -> None:
    with trio.fail_after(100):
        with pytest.raises(RuntimeCrashedError, match="deleted"):
            async with opened_quietly(tmp_path) as rt, trio.open_nursery() as nursery:
                nursery.start_soon(absorb, rt.start_workers)
                await trio.sleep(1)
                lose(tmp_path)
    assert trio.current_time() == pytest.approx(10, abs=0.1)


async def absorb(work: Callable[[], Awaitable[None]]) -> None:
    with pytest.raises(RuntimeCrashedError):
        await work()


async def test_the_callers_error_comes_out_with_the_crash_as_its_context(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    error = ValueError("mine")
    with trio.fail_after(100):
        async with trio.open_nursery() as nursery:
            with pytest.raises(ValueError, match="mine") as caught:
                async with opened_quietly(tmp_path) as rt:
                    nursery.start_soon(absorb, rt.start_workers)
                    await trio.sleep(1)
                    lose(tmp_path)
                    with suppress(trio.Cancelled):
                        await trio.sleep_forever()
                    raise error
    assert caught.value is error
    assert isinstance(error.__context__, RuntimeCrashedError)


async def test_a_crash_is_told_to_whoever_asks_in_the_block(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    with trio.fail_after(100):
        with pytest.raises(RuntimeCrashedError):
            async with opened_quietly(tmp_path) as rt:
                define(rt, sleeper)
                run = await rt.start_run("p")
                lose(tmp_path)
                with pytest.raises(StoreLostError, match="deleted"):
                    await rt.cancel_run(run.id)
                with pytest.raises(RuntimeCrashedError):
                    await rt.run_once()
                await trio.sleep(100)


# --- afterwards ------------------------------------------------------------------------------------------


def calls(rt: Runtime, run: RunHandle) -> dict[str, Callable[[], Any]]:
    return {
        "register_package": lambda: rt.register_package(Package("q", entrypoint=lambda run: None)),
        "register_executor": lambda: rt.register_executor(executor("new")(noop_thread)),
        "start_run": lambda: rt.start_run("p"),
        "start_runs": lambda: rt.start_runs([]),
        "wait": lambda: rt.wait(run.id),
        "run_once": rt.run_once,
        "start_workers": rt.start_workers,
        "drain": rt.drain,
        "workflow": lambda: rt.workflow(run.id),
        "step": lambda: rt.step(run.id, "s"),
        "result": lambda: rt.result(run.id, "s"),
        "runs": rt.runs,
        "steps": lambda: rt.steps(run.id),
        "records": lambda: rt.records("c"),
        "queues": rt.queues,
        "projection": lambda: rt.projection("p"),
        "open_artifact": lambda: rt.open_artifact(run.id, "s", "a").__aenter__(),
        "retry_step": lambda: rt.retry_step(run.id, "s"),
        "retry_run": lambda: rt.retry_run(run.id),
        "cancel_run": lambda: rt.cancel_run(run.id),
        "delete_run": lambda: rt.delete_run(run.id),
        "prune": lambda: rt.prune(0),
        "events": lambda: rt.events().__aenter__(),
        "statistics": rt.statistics,
        "check": rt.check,
    }


@pytest.mark.parametrize("is_crashed", [False, True])
async def test_afterwards_every_method_raises(
    tmp_path: Path, autojump_clock: MockClock, is_crashed: bool
) -> None:
    async with opened_quietly(tmp_path) as rt:
        define(rt, noop)
        run = await rt.start_run("p")
        if is_crashed:
            crash(rt)
    public = {name for name in vars(Runtime) if not name.startswith("_")}
    assert set(calls(rt, run)) == public
    for call in [*calls(rt, run).values(), run.wait]:
        with pytest.raises(RuntimeClosedError):
            answer = call()
            if isinstance(answer, Awaitable):
                await answer


async def test_pending_waits_end_and_event_streams_too(tmp_path: Path, autojump_clock: MockClock) -> None:
    ends: list[str] = []

    async def wait(rt: Runtime, run: RunHandle) -> None:
        with pytest.raises(RuntimeClosedError):
            await run.wait()
        ends.append("wait")

    async def listen(rt: Runtime) -> None:
        async with rt.events() as stream:
            kinds = [event.kind async for event in stream]
        ends.append(",".join(kinds))

    with trio.fail_after(100):
        async with trio.open_nursery() as nursery, opened_quietly(tmp_path) as rt:
            define(rt, noop)
            nursery.start_soon(listen, rt)
            await wait_all_tasks_blocked()
            run = await rt.start_run("p")
            nursery.start_soon(wait, rt, run)
            await trio.sleep(1)
            assert ends == []
    assert sorted(ends) == ["run_created", "wait"]


async def test_nothing_outlives_the_block(tmp_path: Path, autojump_clock: MockClock) -> None:
    before = set(os.listdir("/proc/self/fd"))
    root = trio.lowlevel.current_root_task()
    assert root is not None
    tasks = trio.lowlevel.current_statistics().tasks_living
    async with trio.open_nursery() as nursery:
        async with opened_quietly(
            tmp_path,
            artifact_store=FileArtifactStore(tmp_path / "artifacts"),
            projection_store=SQLiteProjectionStore(tmp_path / "projections"),
        ) as rt:
            define(rt, sleeper)
            await rt.start_run("p")
            await (await rt.projection("pages")).execute("CREATE TABLE t (x)")
            nursery.start_soon(rt.start_workers)
            await trio.sleep(5)
            assert await rt.check() == []
        assert set(os.listdir("/proc/self/fd")) == before
        await wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == tasks
    assert [name for name in os.listdir(tmp_path) if "engine" in name] == [
        "engine.db"
    ]  # no log is left behind


async def test_a_block_that_cannot_open_leaves_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    (tmp_path / "engine.db").write_bytes(b"not a database" * 100)
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(WorkflowError, match=r"engine\.db"):
        async with opened_quietly(tmp_path):
            raise AssertionError
    assert set(os.listdir("/proc/self/fd")) == before
    assert content(tmp_path / "engine.db") == b"not a database" * 100


async def test_runtimes_on_one_file_do_not_disturb_each_other(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path) as one:
        define(one, noop)
        async with opened(tmp_path) as two, working(one):
            run = await one.start_run("p")
            await run.wait()
            assert (await two.wait(run.id)).status == "succeeded"
        assert (await one.start_run("p")).package == "p"


def test_a_runtime_is_made_by_its_block_only(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        open_runtime(config(tmp_path)).__aenter__().send(None)


def test_a_forked_child_cannot_use_the_runtime(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import os, sys, trio
        from trio_workflow import *

        async def main():
            async with open_runtime(Config(store=SQLiteStore(sys.argv[1], synchronous="OFF"))) as rt:
                rt.register_package(Package("p", entrypoint=lambda run: run.step("s", kind="k")))
                run = await rt.start_run("p", run_id="r")
                child = os.fork()
                if not child:
                    for call in (rt.runs, rt.run_once, run.wait, lambda: rt.start_run("p")):
                        try:
                            await call()
                        except WorkflowError as error:
                            print(type(error).__name__, "forked" in str(error), flush=True)
                    os._exit(7)
                print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
                print(len(await rt.runs()), await rt.check())

        trio.run(main)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "engine.db")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout.splitlines() == ["WorkflowError True"] * 4 + ["child 7", "1 []"], done.stderr
