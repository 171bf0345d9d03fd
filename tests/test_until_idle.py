"""run_until_idle: what is waited for, and what is not."""

import pytest
import trio
from trio.testing import MockClock

from trio_workflow import (
    Package,
    QueueConfig,
    RateLimit,
    Retryable,
    RunBuilder,
    RunHandle,
    Runtime,
    StepContext,
    StepOpts,
    executor,
)
from trio_workflow.runtime.runtime import engine_of
from trio_workflow.testing import open_test_runtime, run_until_idle


def package(*steps: StepOpts, name: str = "p") -> Package:
    """A package whose runs have these steps, with ids 0, 1, 2, ..."""
    made = Package(name)

    @made.entrypoint
    def start(run: RunBuilder) -> None:
        for number, step in enumerate(steps):
            run.step(str(number), **step)

    return made


async def started(rt: Runtime, *steps: StepOpts, name: str = "p") -> RunHandle:
    rt.register_package(package(*steps, name=name))
    return await rt.start_run(name)


def noting(rt: Runtime, kind: str, seconds: float = 0.0) -> list[tuple[str, float]]:
    """An executor that sleeps; answers the list where each attempt notes its step and when it starts."""
    times: list[tuple[str, float]] = []

    @executor(kind)
    async def work(step: StepContext) -> None:
        times.append((step.id, trio.current_time()))
        await trio.sleep(seconds)

    rt.register_executor(work)
    return times


async def statuses(rt: Runtime, handle: RunHandle) -> list[str]:
    return [step.status for step in await rt.steps(handle.id)]


async def test_with_nothing_to_do_it_returns_at_once(autojump_clock: MockClock) -> None:
    async with open_test_runtime() as rt:
        assert (await run_until_idle(rt)).processed == 0
        assert trio.current_time() == 0


async def test_a_chain_is_worked_through_in_no_virtual_time(autojump_clock: MockClock) -> None:
    async with open_test_runtime() as rt:
        times = noting(rt, "k")
        await started(rt, *(StepOpts(kind="k", depends_on=[str(n - 1)] if n else []) for n in range(20)))
        result = await run_until_idle(rt)
        assert times == [(str(n), 0.0) for n in range(20)]
        assert (result.processed, result.succeeded) == (20, 20)


async def test_delay_backoff_and_rate_limits_are_waited_out(autojump_clock: MockClock) -> None:
    async with open_test_runtime(
        max_workers=4, queues={"slow": QueueConfig(max_workers=4, rate_limit=RateLimit(0.1))}
    ) as rt:
        made = package(
            {"kind": "k", "delay": 3600}, {"kind": "fails"}, *[StepOpts(kind="k", queue="slow")] * 3
        )

        @made.executor("fails")
        async def fails(step: StepContext) -> None:
            if step.attempt < 3:
                raise Retryable("again")

        times = noting(rt, "k")
        rt.register_package(made)
        handle = await rt.start_run("p")
        result = await run_until_idle(rt)
        assert times == [("2", 0.0), ("3", 10.0), ("4", 20.0), ("0", 3600.0)]
        assert (result.succeeded, result.retried) == (5, 2)
        assert set(await statuses(rt, handle)) == {"succeeded"}


async def test_kinds_it_does_not_have_and_paused_queues_keep_nobody(autojump_clock: MockClock) -> None:
    async with open_test_runtime(queues={"paused": QueueConfig(max_workers=0)}) as rt:
        times = noting(rt, "k")
        handle = await started(
            rt,
            {"kind": "foreign"},
            {"kind": "k", "queue": "paused"},
            {"kind": "foreign", "delay": 50},
            {"kind": "k", "queue": "paused", "delay": 70},
            {"kind": "k", "depends_on": ["0"]},
        )
        await run_until_idle(rt)
        assert trio.current_time() == pytest.approx(70)
        assert times == []
        assert await statuses(rt, handle) == ["ready"] * 4 + ["pending"]
        await run_until_idle(rt)
        assert trio.current_time() == pytest.approx(70)


async def test_executors_that_take_long_and_those_that_fail_are_waited_for(autojump_clock: MockClock) -> None:
    async with open_test_runtime(lease_duration=3, max_workers=2) as rt:
        noting(rt, "long", 100)
        made = package({"kind": "long"}, {"kind": "bad"})

        @made.executor("bad")
        async def bad(step: StepContext) -> None:
            raise ValueError("no")

        rt.register_package(made)
        handle = await rt.start_run("p")
        result = await run_until_idle(rt)
        assert trio.current_time() == 100
        assert (result.succeeded, result.failed) == (1, 1)
        assert await statuses(rt, handle) == ["succeeded", "failed"]


async def test_what_start_workers_has_in_hand_is_waited_for(autojump_clock: MockClock) -> None:
    async with open_test_runtime() as rt, trio.open_nursery() as nursery:
        noting(rt, "long", 10)
        await nursery.start(rt.start_workers)
        handle = await started(rt, {"kind": "long"})
        await trio.testing.wait_all_tasks_blocked()
        assert await statuses(rt, handle) == ["running"]
        await run_until_idle(rt)
        assert await statuses(rt, handle) == ["succeeded"]
        assert trio.current_time() == 10
        nursery.cancel_scope.cancel()


async def test_two_at_once_share_the_work_and_both_return(autojump_clock: MockClock) -> None:
    async with open_test_runtime() as rt:
        times = noting(rt, "k", 1)
        handle = await started(rt, *[StepOpts(kind="k", queue=str(n)) for n in range(3)])
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_until_idle, rt)
            nursery.start_soon(run_until_idle, rt)
        assert len(times) == 3
        assert await statuses(rt, handle) == ["succeeded"] * 3
        assert trio.current_time() == 3


async def test_it_works_with_a_real_clock() -> None:
    async with open_test_runtime() as rt:
        times = noting(rt, "k")
        await started(rt, {"kind": "k"}, {"kind": "k", "delay": 0.01, "depends_on": ["0"]})
        with trio.fail_after(5):
            await run_until_idle(rt)
        assert [step for step, _ in times] == ["0", "1"]


async def test_it_never_moves_a_clock_that_stands_still(mock_clock: MockClock) -> None:
    async with open_test_runtime() as rt:
        times = noting(rt, "k")
        await started(rt, {"kind": "k"}, {"kind": "k", "delay": 5})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(run_until_idle, rt)
            await trio.testing.wait_all_tasks_blocked()
            assert times == [("0", 0.0)]
            mock_clock.jump(5)
        assert times == [("0", 0.0), ("1", 5.0)]


async def test_who_waits_for_a_session_looks_again_when_it_leaves() -> None:
    """It may leave with its outcomes: then their leases are the dates to wait for."""
    async with open_test_runtime() as rt:
        hub = engine_of(rt).hub
        busy, rung = _Busy(), _Busy()
        hub.join(busy)
        hub.join(rung)
        hub.leave(busy)
        assert (busy.rings, rung.rings) == (0, 1)
        hub.leave(rung)


class _Busy:
    is_idle = False
    rings = 0

    def ring(self) -> None:
        self.rings += 1

    def revoke(self, tokens: object) -> None: ...

    def leases(self) -> list[tuple[int, str]]:
        return []

    def unexpired(self) -> list[str]:
        return []
