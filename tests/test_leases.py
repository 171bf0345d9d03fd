"""Leases: renewed while a step runs, fenced when they are lost, and never held by two at once."""

from contextlib import suppress
from pathlib import Path

import pytest
import trio
from stories import (
    Switch,
    define,
    ended,
    error_of,
    opened,
    outcomes,
    status,
    working,
)
from trio.testing import MockClock

from trio_workflow import (
    Retryable,
    RunBuilder,
    StepContext,
    executor,
)

LEASE = 30.0


@executor("noop")
async def noop(step: StepContext) -> None: ...


async def test_a_step_of_hours_keeps_its_lease(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("long")
    async def long(step: StepContext) -> str:
        await trio.sleep(3 * 3600)
        return "done"

    async with opened(tmp_path) as one, opened(tmp_path, poll_interval=5) as two:
        define(one, long)
        define(two, long)
        run = await one.start_run("p")
        async with working(one):
            await trio.sleep(1)
            async with working(two):
                await run.wait()
        assert await outcomes(one, run.id) == ["succeeded"]
        found = one.statistics()
        assert found.renewals == pytest.approx(3 * 3600 / 10, abs=3)
        assert found.lost_leases == 0
        assert trio.current_time() == pytest.approx(3 * 3600, abs=1)


async def test_a_lease_is_shown_while_it_lasts(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("long")
    async def long(step: StepContext) -> None:
        assert (step.lease.expires_at - step.lease.acquired_at).total_seconds() == LEASE
        assert (step.lease.acquired_at, step.lease.worker_id) == (step.now, "w1")
        await trio.sleep(100)

    async with opened(tmp_path, worker_id="w1") as rt:
        define(rt, long)
        run = await rt.start_run("p")
        async with working(rt):
            await trio.sleep(95)
            step = await rt.step(run.id, "s")
            assert step is not None
            assert step.lease is not None
            assert (step.lease.expires_at - step.lease.acquired_at).total_seconds() == pytest.approx(120)
            assert (step.lease.worker_id, step.attempt) == ("w1", 1)
            await run.wait()
        step = await rt.step(run.id, "s")
        assert step is not None
        assert step.lease is None


# --- the store cannot be written -------------------------------------------------------------------------


async def test_a_worker_that_cannot_renew_cancels_before_another_may_start(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Both have the same worker id: nothing depends on it."""
    spans: list[tuple[str, float]] = []

    @executor("work")
    async def work(step: StepContext) -> str:
        spans.append((f"start {step.attempt}", trio.current_time()))
        try:
            await trio.sleep(600)
        finally:
            spans.append((f"end {step.attempt}", trio.current_time()))
        return f"attempt {step.attempt}"

    switch = Switch(tmp_path)
    async with opened(tmp_path, store=switch) as one, opened(tmp_path, poll_interval=1) as two:
        define(one, work)
        define(two, work)
        run = await two.start_run("p")
        async with working(one):
            await trio.sleep(12)  # renewed at 10: confirmed until 40
            async with working(two):
                switch.is_down = True
                await trio.sleep(100)
                switch.is_down = False
                await run.wait()
        (first, at), (left, cancelled), (second, taken), *_ = spans
        assert (first, left, second) == ("start 1", "end 1", "start 2")
        assert at == pytest.approx(0, abs=0.01)
        assert cancelled == pytest.approx(40, abs=0.01)
        assert cancelled <= 40 <= taken <= 42
        assert await outcomes(two, run.id) == ["lease_lost", "succeeded"]
        assert (await ended(two, run.id)).value() == "attempt 2"


async def test_an_outage_shorter_than_the_lease_costs_nothing(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("work")
    async def work(step: StepContext) -> None:
        await trio.sleep(25)

    switch = Switch(tmp_path)
    async with opened(tmp_path, store=switch) as rt:
        define(rt, work)
        run = await rt.start_run("p")
        async with working(rt):
            await trio.sleep(12)
            switch.is_down = True
            await trio.sleep(27)  # it ends meanwhile: the outcome waits for the store
            assert (await rt.result(run.id, "s")) is None
            switch.is_down = False
            await run.wait()
        assert await outcomes(rt, run.id) == ["succeeded"]
        assert trio.current_time() < 41


async def test_what_a_zombie_hands_in_changes_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("work")
    async def work(step: StepContext) -> str:
        if step.attempt == 2:
            await trio.sleep(200)
            raise Retryable("again")
        if step.attempt == 3:
            assert step.saved(str) == "in time"
            return "fresh"
        await step.save("in time")
        with trio.CancelScope(shield=True):
            await trio.sleep(100)  # loses its lease meanwhile
            await step.save("by a zombie")
            step.record("pages", "z", 1)
            step.artifact("a", "text/plain", b"z")
            step.progress(99)
            step.emit("child", kind="work")
            await trio.sleep(20)
        return "zombie"

    switch = Switch(tmp_path)
    async with opened(tmp_path, store=switch) as one, opened(tmp_path, poll_interval=1) as two:
        define(one, work)
        define(two, work)
        run = await two.start_run("p")
        async with working(one):
            await trio.sleep(5)
            switch.is_down = True
            async with working(two):
                await trio.sleep(60)
                switch.is_down = False
                await trio.sleep(20)  # the zombie still runs, beside its successor
                assert one.statistics().running == two.statistics().running == 1
                await trio.sleep(60)
                assert one.statistics().running == 0
                assert await status(one, run.id) == "running"
                assert (await run.wait()).status == "succeeded"
        result = await ended(two, run.id)
        assert await outcomes(two, run.id) == ["lease_lost", "retried", "succeeded"]
        assert (result.value(), result.records, result.artifacts, result.emitted_ids) == ("fresh", (), (), ())
        assert len(await two.steps(run.id)) == 1


# --- executors that do not co-operate --------------------------------------------------------------------


async def test_a_completion_after_the_expiry_counts_while_nobody_has_taken_the_step(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("block")
    async def block(step: StepContext) -> str:
        autojump_clock.jump(100)  # blocks the event loop past the lease, and returns without a checkpoint
        return "late"

    async with opened(tmp_path) as rt:
        define(rt, block)
        run = await rt.start_run("p")
        async with working(rt):
            await run.wait()
        assert (await ended(rt, run.id)).value() == "late"
        assert await outcomes(rt, run.id) == ["succeeded"]


async def test_an_executor_that_blocks_past_its_lease_is_cancelled_at_its_next_checkpoint(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    reached: list[int] = []

    @executor("block")
    async def block(step: StepContext) -> str:
        if step.attempt == 1:
            autojump_clock.jump(100)
            await trio.sleep(1)
        reached.append(step.attempt)
        return "done"

    async with opened(tmp_path) as rt:
        define(rt, block)
        run = await rt.start_run("p")
        async with working(rt):
            await run.wait()
        assert reached == [2]
        assert await outcomes(rt, run.id) == ["lease_lost", "succeeded"]
        assert rt.statistics().lost_leases == 1


async def test_one_that_swallows_the_loss_of_its_lease_has_not_succeeded(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Several times: sometimes its own deadline strikes first, sometimes the engine sees it coming."""

    @executor("stubborn")
    async def stubborn(step: StepContext) -> str:
        if step.attempt == 1:
            autojump_clock.jump(100)
            with suppress(trio.Cancelled):
                await trio.sleep_forever()
        return f"attempt {step.attempt}"

    def start(run: RunBuilder) -> None:
        for number in range(12):
            run.step(f"s{number}", kind="stubborn")

    async with opened(tmp_path) as rt:
        define(rt, stubborn, graph=start)
        run = await rt.start_run("p")
        async with working(rt):
            await run.wait()
        for step in await rt.steps(run.id):
            assert await outcomes(rt, run.id, step.id) == ["lease_lost", "succeeded"]
            assert (await ended(rt, run.id, step.id)).value() == "attempt 2"


async def test_a_step_that_loses_its_lease_too_often_fails(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("block")
    async def block(step: StepContext) -> None:
        autojump_clock.jump(100)
        await trio.sleep(1)

    def start(run: RunBuilder) -> None:
        run.step("after", kind="noop", depends_on=run.step("s", kind="block"))

    async with opened(tmp_path, max_lost_leases=2) as rt:
        define(rt, block, noop, graph=start)
        run = await rt.start_run("p")
        async with working(rt):
            assert (await run.wait()).status == "failed"
            assert await outcomes(rt, run.id) == ["lease_lost", "lease_lost"]
            code, message = await error_of(rt, run.id)
            assert (code, "2 times" in message) == ("lease_lost", True)
            after = await rt.step(run.id, "after")
            assert after is not None
            assert (after.status, after.canceled_by) == ("canceled", "s")
            await rt.retry_step(run.id, "s")  # with a fresh count
            await run.wait()
        assert await outcomes(rt, run.id) == ["lease_lost"] * 4


@pytest.mark.parametrize(
    ("outage", "ends"), [(20, ["succeeded"]), (40, ["lease_lost", "succeeded"])], ids=["short", "too-long"]
)
async def test_a_checkpoint_waits_for_the_store_as_long_as_the_lease_holds(
    tmp_path: Path, autojump_clock: MockClock, outage: float, ends: list[str]
) -> None:
    switch = Switch(tmp_path)
    is_down = trio.Event()

    @executor("save")
    async def save(step: StepContext) -> int | None:
        if step.attempt == 1:
            switch.is_down = True
            is_down.set()
        await step.save(step.attempt)
        return step.saved(int)

    async with opened(tmp_path, store=switch) as rt:
        define(rt, save)
        run = await rt.start_run("p")
        async with working(rt):
            await is_down.wait()
            await trio.sleep(outage)
            switch.is_down = False
            await run.wait()
        assert await outcomes(rt, run.id) == ends
        assert (await ended(rt, run.id)).value() == len(ends)
