"""Sessions beside each other, stopped, starved and poisoned: found by attacking the engine."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from trio_workflow import (
    Package,
    QueueConfig,
    RunBuilder,
    RunStatus,
    Runtime,
    SQLiteStore,
    StepContext,
    StepStatus,
    StoreUnavailableError,
)
from trio_workflow.runtime.runtime import engine_of
from trio_workflow.store.sqlite import store as sqlite_store
from trio_workflow.testing import open_test_runtime


def _sleepers(slept: list[str]) -> Package:
    """Steps that sleep for the seconds of the run's input and then say their run's id."""
    package = Package("p")

    @package.entrypoint
    async def start(run: RunBuilder, seconds: list[float]) -> None:
        for number, pause in enumerate(seconds):
            run.step(f"s{number}", pause, kind="sleep", queue="q")

    @package.executor("sleep")
    async def sleep(step: StepContext, seconds: float) -> None:
        await trio.sleep(seconds)
        slept.append(step.run_id)

    return package


def _once(real: Any, error: Exception) -> Any:
    """A function that raises the error the first time."""
    errors: Iterator[Exception] = iter([error])

    async def call(*args: Any, **options: Any) -> Any:
        for error in errors:
            raise error
        return await real(*args, **options)

    return call


async def test_steps_claimed_while_workers_are_being_stopped_are_given_back(autojump_clock: object) -> None:
    slept: list[str] = []
    async with open_test_runtime() as rt:
        rt.register_package(_sleepers(slept))
        store: Any = engine_of(rt).store
        real = store.exchange

        async def slow(*args: Any) -> Any:
            done = await real(*args)
            with trio.CancelScope(shield=True):
                await trio.sleep(1)
            return done

        store.exchange = slow
        await rt.start_run("p", [1000.0], run_id="r")
        async with trio.open_nursery() as nursery:
            await nursery.start(rt.start_workers)
            await trio.sleep(0.5)  # the claim is committed, its answer is under way
            nursery.cancel_scope.cancel()
        step = await rt.step("r", "s0")
        assert step is not None
        assert step.status is StepStatus.READY
        assert trio.current_time() < 10
        assert not slept


async def test_a_slot_that_one_cycle_frees_is_used_by_workers_beside_it(autojump_clock: object) -> None:
    async with open_test_runtime(max_workers=2, queues={"q": QueueConfig(max_workers=2)}) as rt:
        rt.register_package(_sleepers([]))
        await rt.start_run("p", [2.0, 1000.0])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rt.run_once)
            await trio.sleep(1)
            await nursery.start(rt.start_workers)
            later = await rt.start_run("p", [0.0])
            await later.wait()
            assert trio.current_time() == pytest.approx(2.0)
            nursery.cancel_scope.cancel()


async def test_a_limit_lowered_elsewhere_while_canceled_executors_clean_up_crashes_nobody(
    tmp_path: Path, autojump_clock: object
) -> None:
    package = Package("p")

    @package.entrypoint
    async def start(run: RunBuilder, steps: int) -> None:
        for _ in range(steps):
            run.step(kind="k", queue="q")

    @package.executor("k")
    async def stubborn(step: StepContext) -> None:
        if step.run_id == "canceled":
            with trio.CancelScope(shield=True):
                await trio.sleep(100)

    def limit(number: int) -> dict[str, Any]:
        store = SQLiteStore(tmp_path / "engine.db", synchronous="OFF")
        return {"store": store, "max_workers": 9, "queues": {"q": QueueConfig(max_workers=number)}}

    async with open_test_runtime(**limit(4)) as rt:
        rt.register_package(package)
        async with trio.open_nursery() as nursery:
            await nursery.start(rt.start_workers)
            await rt.start_run("p", 3, run_id="canceled")
            await trio.sleep(1)
            await rt.cancel_run("canceled")
            async with open_test_runtime(**limit(3)):
                pass
            handle = await rt.start_run("p", 1)
            assert (await handle.wait()).status is RunStatus.SUCCEEDED
            nursery.cancel_scope.cancel()


async def _other_process_ends_a_run(path: Path, api_does: Any) -> float:
    """Seconds from the end of a run in one runtime until another, which waits for it, knows of it."""
    store = SQLiteStore(path, synchronous="OFF")
    options: dict[str, Any] = {"store": store, "poll_interval": 0.25}
    async with open_test_runtime(**options) as api, open_test_runtime(**options) as worker:
        api.register_package(_sleepers([]))
        worker.register_package(_sleepers([]))
        handle = await api.start_run("p", [15.0])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.run_once)
            nursery.start_soon(api_does, api)
            with trio.move_on_after(100):
                await handle.wait()
            nursery.cancel_scope.cancel()
    return trio.current_time() - 15.0


async def test_many_short_waits_do_not_put_off_the_look_at_other_processes(
    tmp_path: Path, autojump_clock: object
) -> None:
    async def wait_often(rt: Runtime) -> None:
        ended = await rt.start_run("p", [0.0])
        while True:
            await trio.sleep(0.2)
            with trio.move_on_after(0):
                await ended.wait()

    assert await _other_process_ends_a_run(tmp_path / "engine.db", wait_often) <= 0.5


async def test_news_that_could_not_be_looked_at_are_looked_at_again(
    tmp_path: Path, autojump_clock: object
) -> None:
    async def fail_to_look(rt: Runtime) -> None:
        await trio.sleep(14.9)
        reads: Any = engine_of(rt).store.reads
        reads.run_states = _once(reads.run_states, StoreUnavailableError("no file handle is free"))

    assert await _other_process_ends_a_run(tmp_path / "engine.db", fail_to_look) <= 0.75


async def test_a_cycle_that_meets_a_locked_store_keeps_what_it_has_in_hand(autojump_clock: object) -> None:
    slept: list[str] = []
    async with open_test_runtime(max_lost_leases=1) as rt:
        rt.register_package(_sleepers(slept))
        await rt.start_run("p", [10.0], run_id="r")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rt.run_once)
            await trio.sleep(1)
            store: Any = engine_of(rt).store
            store.exchange = _once(store.exchange, StoreUnavailableError("locked"))
            await rt.start_run("p", [0.0])  # rings
        assert "r" in slept
        run = await rt.workflow("r")
        assert run is not None
        assert run.status is RunStatus.SUCCEEDED


async def test_no_executor_of_a_canceled_run_starts_while_a_poisonous_outcome_is_offered_alone(
    autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[str] = []
    real_complete: Any = vars(sqlite_store)["complete"]

    def refuse(tx: Any, completions: Any) -> Any:
        if any(type(completion.outcome).__name__ == "Success" for completion in completions):
            raise OverflowError("too large for SQLite")
        return real_complete(tx, completions)

    monkeypatch.setattr(sqlite_store, "complete", refuse)
    async with open_test_runtime(max_workers=1, default_queue=QueueConfig(max_workers=2)) as rt:
        rt.register_package(_sleepers(slept))
        store: Any = engine_of(rt).store
        real = store.exchange

        async def exchange(completions: Any, request: Any) -> Any:
            if request is None:
                await rt.cancel_run("canceled")
            return await real(completions, request)

        store.exchange = exchange
        async with trio.open_nursery() as nursery:
            await nursery.start(rt.start_workers)
            await rt.start_run("p", [1.0], run_id="poison")
            await trio.sleep(0.5)
            await rt.start_run("p", [1.0], run_id="canceled")
            await trio.sleep(5)
            nursery.cancel_scope.cancel()
        assert slept == ["poison"]
        assert not await rt.check()


async def test_everybody_in_line_hears_that_no_thread_could_be_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[str] = []
    async with open_test_runtime() as rt:
        rt.register_package(_sleepers([]))
        monkeypatch.setattr(
            trio.to_thread, "run_sync", _once(trio.to_thread.run_sync, RuntimeError("can't start new thread"))
        )

        async def start() -> None:
            with pytest.raises(StoreUnavailableError, match="can't start new thread"):
                await rt.start_run("p", [0.0])
            heard.append("no")

        async with trio.open_nursery() as nursery:
            nursery.cancel_scope.deadline = trio.current_time() + 5
            for _ in range(3):
                nursery.start_soon(start)
    assert heard == ["no"] * 3


async def test_the_id_of_a_deleted_run_is_used_again_without_harm_to_its_artifacts(
    autojump_clock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same id and the same bytes: the removal of the old run must not take the new run's bytes."""
    package = Package("p")

    @package.entrypoint
    def start(run: RunBuilder) -> None:
        run.step("s", kind="put")

    @package.executor("put")
    async def put(step: StepContext) -> None:
        await step.store_artifact("a.bin", "application/octet-stream", b"same", id="a")

    async with open_test_runtime() as rt:
        rt.register_package(package)
        await rt.start_run("p", run_id="r")
        await rt.run_once()
        await engine_of(rt).store.delete_run("r")  # as a process that was killed before it purged
        await rt.start_run("p", run_id="r")
        await rt.run_once()
        await rt.prune(1_000_000)
        async with rt.open_artifact("r", "s", "a.bin") as reader:
            assert await reader.read() == b"same"
        assert await rt.check() == []
