"""What is committed between a claim and the moment its step would start, and the order of events."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from stories import define, one_step, opened, working
from trio.testing import MockClock

from trio_workflow import Event, QueueConfig, Runtime, SQLiteStore, StepContext, Store, executor
from trio_workflow.clock import Clock


class CancelsAfterClaim:
    """A store that lets a run be canceled right after the commit that leased its step."""

    def __init__(self, path: Path) -> None:
        self._inner = SQLiteStore(path, synchronous="OFF")
        self.runtime: Runtime | None = None

    def open(self, clock: Clock) -> AbstractAsyncContextManager[Store]:
        return self._open(clock)

    @asynccontextmanager
    async def _open(self, clock: Clock) -> AsyncGenerator[Store]:
        async with self._inner.open(clock) as store:
            exchange = store.exchange

            async def exchange_then_cancel(*args: Any) -> Any:
                done = await exchange(*args)
                assert self.runtime is not None
                for claim in getattr(done.answer, "claims", ()):
                    await self.runtime.cancel_run(claim.run.id)
                return done

            store.exchange = exchange_then_cancel  # type: ignore[method-assign, assignment] # the stand-in
            yield store


async def test_a_step_does_not_start_when_its_run_is_canceled_right_after_the_claim(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    started: list[str] = []

    @executor("work")
    async def work(step: StepContext) -> None:
        started.append(step.run_id)

    store = CancelsAfterClaim(tmp_path / "engine.db")
    async with opened(tmp_path, store=store) as rt:
        store.runtime = rt
        define(rt, work, graph=one_step("work"))
        run = await rt.start_run("p")
        async with working(rt):
            assert (await run.wait()).status == "canceled"
        assert started == []
        assert rt.statistics().running == 0  # the slot was not taken for good


async def test_two_cycles_of_one_runtime_do_not_claim_for_the_same_slots(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("work")
    async def work(step: StepContext) -> None:
        await trio.sleep(1)

    async def cycle() -> None:
        released.append((await rt.run_once()).released)

    released: list[int] = []
    async with opened(tmp_path, max_workers=2, default_queue=QueueConfig(10)) as rt:
        define(rt, work, graph=one_step("work"))
        runs = [await rt.start_run("p") for _ in range(4)]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cycle)
            nursery.start_soon(cycle)
        assert released == [0, 0]
        async with working(rt):
            for run in runs:
                await run.wait()


async def test_events_come_in_the_order_of_the_commits(tmp_path: Path) -> None:
    """In threads, where a start joins the line that a worker's exchange leads."""

    @executor("work")
    async def work(step: StepContext) -> None: ...

    seen: dict[str, list[str]] = {}

    async def watch(rt: Runtime, *, task_status: trio.TaskStatus[None]) -> None:
        async with rt.events(buffer=100_000) as stream:
            task_status.started()
            async for event in stream:
                note(event)

    def note(event: Event) -> None:
        if event.run_id is not None:
            seen.setdefault(event.run_id, []).append(f"{event.kind} {event.status}")

    async with opened(tmp_path, max_workers=8) as rt, trio.open_nursery() as nursery:
        define(rt, work, graph=one_step("work"))
        await nursery.start(watch, rt)
        async with working(rt), trio.open_nursery() as starters:
            for number in range(100):
                starters.start_soon(_start_and_wait, rt, f"r{number}")
        nursery.cancel_scope.cancel()
    assert len(seen) == 100
    for kinds in seen.values():
        assert kinds == [
            "run_created pending",
            "run_updated running",
            "step_leased running",
            "step_succeeded succeeded",
            "run_updated succeeded",
        ]


async def _start_and_wait(rt: Runtime, run_id: str) -> None:
    run = await rt.start_run("p", run_id=run_id)
    await run.wait()
