"""Schedules and faults, found by attacking the engine, that once hung, crashed or lost something."""

import math
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import pytest
import trio
import trio.lowlevel
from stories import define, one_step, opened
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_workflow import QueueConfig, RunBuilder, StepContext, executor
from trio_workflow.errors import RuntimeClosedError, StoreUnavailableError, WorkflowError
from trio_workflow.model.outcome import Success
from trio_workflow.runtime import workers
from trio_workflow.runtime.holding import Holding
from trio_workflow.runtime.runtime import engine_of
from trio_workflow.store.sqlite import store as sqlite_store
from trio_workflow.store.sqlite.committer import Committer
from trio_workflow.store.sqlite.store import OpenSQLiteStore
from trio_workflow.testing import run_until_idle


@executor("work")
async def work(step: StepContext) -> None:
    """Nothing."""


async def test_closing_the_block_waits_for_the_commit_that_somebody_else_has_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To close a connection that a thread uses is a segmentation fault."""
    real = Committer._commit_together
    ends: list[str] = []
    under_way, go = trio.Event(), threading.Event()

    async def let_go() -> None:
        await wait_all_tasks_blocked()  # the block is closing, and waits
        go.set()

    def slow(committer: Committer, batch: Any) -> None:
        trio.from_thread.run_sync(under_way.set)
        assert go.wait(10)
        real(committer, batch)

    async with trio.open_nursery() as nursery, opened(tmp_path) as rt:
        define(rt, work, graph=one_step("work"))

        async def start_always() -> None:
            try:
                while True:
                    await rt.start_run("p")
            except WorkflowError as error:
                ends.append(type(error).__name__)

        monkeypatch.setattr(Committer, "_commit_together", slow)
        for _ in range(3):
            nursery.start_soon(start_always)
        await under_way.wait()
        nursery.start_soon(let_go)
    assert ends == [RuntimeClosedError.__name__] * 3


async def test_news_that_were_asked_for_in_a_batch_that_was_taken_back_are_not_lost(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path) as rt, opened(tmp_path) as other:
        define(other, work, graph=one_step("work"))
        store: Any = engine_of(rt).store
        await store.poll()
        await other.start_run("p")
        answers: list[bool] = []

        async def ask() -> None:
            answers.append(await store.poll())

        async def break_the_batch() -> None:
            with pytest.raises(ZeroDivisionError):
                await store._writer.submit(lambda tx: 1 // 0)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            nursery.start_soon(break_the_batch)
        assert answers == [True]
        assert await store.poll() is False


@pytest.mark.parametrize("in_cycles", [False, True])
async def test_a_slot_that_an_outcome_frees_which_is_offered_alone_is_taken_at_once(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, in_cycles: bool
) -> None:
    real: Any = vars(sqlite_store)["complete"]

    def refuse(tx: Any, completions: Any) -> Any:
        if any(isinstance(completion.outcome, Success) for completion in completions):
            raise OverflowError("too large for SQLite")
        return real(tx, completions)

    def graph(run: RunBuilder) -> None:
        run.step("a", kind="work", queue="q")
        run.step("b", kind="work", queue="q")

    monkeypatch.setattr(sqlite_store, "complete", refuse)
    queues = {"q": QueueConfig(max_workers=1)}
    async with opened(tmp_path, poll_interval=math.inf, queues=queues) as rt, trio.open_nursery() as nursery:
        define(rt, work, graph=graph)
        first, second = await rt.start_run("p"), await rt.start_run("p")
        if in_cycles:
            await rt.run_once()
            await run_until_idle(rt)
        else:
            await nursery.start(rt.start_workers)
        with trio.fail_after(5):
            await first.wait()
            await second.wait()
        assert trio.current_time() == 0
        nursery.cancel_scope.cancel()


async def test_queues_take_turns_over_cycles_too(tmp_path: Path, autojump_clock: MockClock) -> None:
    """A cycle that starts one step must not start it from the same queue each time."""
    started: list[str] = []

    @executor("noted")
    async def noted(step: StepContext) -> None:
        started.append(step.step.queue)

    def graph(run: RunBuilder) -> None:
        for number in range(6):
            for queue in "abc":
                run.step(f"{queue}{number}", kind="noted", queue=queue)

    async with opened(tmp_path, queues={queue: QueueConfig(max_workers=3) for queue in "abc"}) as rt:
        define(rt, noted, graph=graph)
        await rt.start_run("p")
        while (await rt.run_once()).processed:
            pass
    assert len(started) == 18
    assert all(sorted(started[first : first + 3]) == ["a", "b", "c"] for first in range(0, 18, 3))


async def test_progress_whose_renewal_failed_is_stored_with_the_next_one(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    @executor("tell")
    async def tell(step: StepContext) -> None:
        step.progress(1)
        await trio.sleep(20)

    real = OpenSQLiteStore.renew
    tries: list[float] = []

    async def fail_once(store: OpenSQLiteStore, renewals: Any, lease: int) -> frozenset[str]:
        tries.append(trio.current_time())
        if len(tries) == 1:
            raise StoreUnavailableError("the disk is full")
        return await real(store, renewals, lease)

    monkeypatch.setattr(OpenSQLiteStore, "renew", fail_once)
    async with opened(tmp_path, lease_duration=12.0) as rt, trio.open_nursery() as nursery:
        define(rt, tell, graph=one_step("tell"))
        await rt.start_run("p", run_id="r")
        await nursery.start(rt.start_workers)
        await trio.sleep(10)
        step = await rt.step("r", "s")
        assert step is not None
        assert step.progress is not None
        assert step.progress.done == 1
        nursery.cancel_scope.cancel()
    assert len(tries) > 1


async def test_workers_may_start_again_after_a_drain_though_runs_were_being_removed(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def remove_slowly(engine: object, older_than: float) -> int:
        with trio.CancelScope(shield=True):
            await trio.sleep(1)
        return 0

    monkeypatch.setattr(workers, "prune_rows", remove_slowly)
    async with opened(tmp_path, keep_finished=60.0) as rt, trio.open_nursery() as nursery:
        for _ in range(3):
            await nursery.start(rt.start_workers)
            await trio.sleep(0.1)
            await rt.drain()


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
async def test_an_interrupt_comes_to_the_program_though_the_workers_are_being_stopped(
    tmp_path: Path, autojump_clock: MockClock, interrupt: type[BaseException]
) -> None:
    @executor("work")
    async def interrupted(step: StepContext) -> None:
        await trio.sleep(1)
        raise interrupt

    with pytest.RaisesGroup(interrupt, flatten_subgroups=True):
        async with opened(tmp_path, shutdown_grace=5.0) as rt, trio.open_nursery() as nursery:
            define(rt, interrupted, graph=one_step("work"))
            await rt.start_run("p", run_id="r")
            await nursery.start(rt.start_workers)
            await trio.sleep(0.5)
            nursery.cancel_scope.cancel()


def entered(expires: float) -> Holding:
    """A lease in hand whose executor runs."""
    nobody: Any = None
    holding = Holding(nobody, expires)
    holding.context = cast("StepContext", object())
    return holding


async def test_a_renewal_that_is_confirmed_after_the_lease_has_cancelled_its_executor_is_too_late(
    mock_clock: MockClock,
) -> None:
    """It could swallow that, and would be taken for one that was never cancelled."""
    holding = entered(expires=10)
    with holding.scope:
        mock_clock.jump(11)
        with suppress(trio.Cancelled):
            await trio.lowlevel.checkpoint()
        assert not holding.extend(20)
    assert holding.expires == 10


async def test_a_renewal_that_is_confirmed_before_a_late_deadline_has_struck_spares_the_executor(
    mock_clock: MockClock,
) -> None:
    holding = entered(expires=10)
    with holding.scope:
        mock_clock.jump(11)  # as if code had blocked the event loop
        assert holding.extend(20)
        await trio.lowlevel.checkpoint()
    assert not holding.scope.cancelled_caught
    assert holding.expires == 20
