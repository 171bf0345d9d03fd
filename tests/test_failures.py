"""How attempts fail: exceptions of every kind, retries and their backoff, timeouts."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from stories import define, ended, error_of, one_step, opened, outcomes, states, working
from trio.testing import MockClock

from trio_workflow import (
    Permanent,
    QueueConfig,
    Retryable,
    RetryPolicy,
    RunBuilder,
    Runtime,
    StepContext,
    StepError,
    executor,
)


async def run_to_end(rt: Runtime, **options: Any) -> str:
    """Start package "p" and work until its run has ended; answers its id."""
    async with working(rt, **options):
        run = await rt.start_run("p")
        await run.wait()
    return run.id


async def fails_with(folder: Path, error: Callable[[], BaseException], retries: int = 1) -> StepError:
    """The stored error of a step whose executor raises that, in a runtime that goes on working."""

    @executor("bad")
    async def bad(step: StepContext) -> None:
        raise error()

    @executor("good")
    async def good(step: StepContext) -> None:
        await trio.sleep(1)

    def start(run: RunBuilder) -> None:
        run.step("s", kind="bad")
        run.step("beside", kind="good")
        run.step("behind", kind="good")

    policy = RetryPolicy(max_attempts=retries)
    async with opened(folder, max_workers=2, default_queue=QueueConfig(2), default_retry=policy) as rt:
        define(rt, bad, good, graph=start)
        run_id = await run_to_end(rt)
        assert await states(rt, run_id) == {"s": "failed", "beside": "succeeded", "behind": "succeeded"}
        found = (await ended(rt, run_id)).error
        assert found is not None
        return found


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class Base(BaseException):
    pass


class LiarError(Exception):
    @property  # type: ignore[misc]  # it breaks on purpose
    def __class__(self) -> Any:
        raise RuntimeError("no class")


def deep() -> BaseException:
    error: BaseException = ValueError("deepest")
    for _ in range(3000):
        error = BaseExceptionGroup("g", [error])
    return error


def looped() -> BaseException:
    error = ValueError("looped")
    error.__cause__ = error.__context__ = KeyError("other")
    error.__cause__.__cause__ = error
    return error


ERRORS: list[tuple[Callable[[], BaseException], str, str]] = [
    (lambda: RuntimeError("broken"), "executor_error", "RuntimeError: broken"),
    (lambda: RuntimeError(), "executor_error", "RuntimeError"),
    (UnprintableError, "executor_error", "UnprintableError: "),
    (lambda: ValueError("\ud800\x00"), "executor_error", "ValueError: \ufffd\ufffd"),
    (lambda: ValueError("x" * 10**6), "executor_error", "ValueError: xxx"),
    (lambda: Base("base"), "executor_error", "Base: base"),
    (lambda: GeneratorExit("gone"), "executor_error", "GeneratorExit: gone"),
    (lambda: StopIteration(3), "executor_error", ""),
    (lambda: StopAsyncIteration(3), "executor_error", ""),
    (LiarError, "executor_error", "LiarError"),
    (looped, "executor_error", "ValueError: looped"),
    (deep, "executor_error", "ExceptionGroup: g"),
    (lambda: BaseExceptionGroup("g", [Base()]), "executor_error", "BaseExceptionGroup: g"),
    (lambda: Permanent("gone"), "gone", "gone"),
    (lambda: Permanent("gone", "404"), "gone", "404"),
    (lambda: Permanent("gone", ValueError("404")), "gone", "ValueError: 404"),
    (lambda: Permanent("\ud800", "\ud800"), "\ufffd", "\ufffd"),
    (lambda: Permanent("x" * 10_000, UnprintableError()), "xxx", "UnprintableError"),
    (lambda: Permanent(7, 8), "7", "8"),  # type: ignore[arg-type]  # wrong on purpose
]


@pytest.mark.parametrize(("error", "code", "message"), ERRORS)
async def test_whatever_is_raised_fails_the_step_and_nothing_else(
    tmp_path: Path, autojump_clock: MockClock, error: Callable[[], BaseException], code: str, message: str
) -> None:
    found = await fails_with(tmp_path, error, retries=3)
    assert found.code.startswith(code)
    assert found.message.startswith(message)
    assert (found.retryable, found.details) == (False, None)
    assert len(found.code) <= 255
    assert len(found.message) <= 4000
    assert found.traceback or found.message.startswith("LiarError")


async def test_a_failure_keeps_its_details_and_where_it_was_raised(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    details = {"status": 404, "seen": [1, None], "odd": object(), "bad": float("nan"), "text": "\ud800"}
    found = await fails_with(tmp_path, lambda: Permanent("http", details=details))
    assert (found.details["status"], found.details["seen"]) == (404, [1, None])
    assert isinstance(found.details["odd"], str)
    assert "test_failures.py" in found.traceback
    assert "raise error()" in found.traceback


async def test_the_cause_is_by_default_what_it_was_raised_from(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    def error() -> BaseException:
        permanent = Permanent("http")
        permanent.__cause__ = OSError("refused")
        return permanent

    assert (await fails_with(tmp_path, error)).message == "OSError: refused"


def group(*errors: BaseException) -> Callable[[], BaseException]:
    return lambda: BaseExceptionGroup("outer", [ValueError("noise"), BaseExceptionGroup("inner", errors)])


async def test_one_permanent_makes_a_group_permanent(tmp_path: Path, autojump_clock: MockClock) -> None:
    error = group(Retryable("first", delay=5), Permanent("final", "no"), Permanent("second"))
    found = await fails_with(tmp_path, error, retries=9)
    assert (found.code, found.message, found.retryable) == ("final", "no", False)


async def test_else_the_first_of_a_group_decides_with_the_longest_delay(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    error = group(Retryable("first"), Retryable("second", delay=70), Retryable("third", delay=30))
    found = await fails_with(tmp_path, error, retries=3)
    assert (found.code, found.retryable) == ("first", True)
    assert trio.current_time() == pytest.approx(140, abs=1)


# --- retries ---------------------------------------------------------------------------------------------


async def starts_of(folder: Path, error: Callable[[int], BaseException], policy: RetryPolicy) -> list[float]:
    """When each attempt of a step started."""
    starts: list[float] = []

    @executor("work")
    async def work(step: StepContext) -> None:
        starts.append(trio.current_time())
        raise error(step.attempt)

    async with opened(folder) as rt:
        define(rt, work, graph=one_step("work", retry=policy))
        run_id = await run_to_end(rt)
        attempts = (await ended(rt, run_id)).attempts
        assert [a.number for a in attempts] == list(range(1, len(starts) + 1))
        assert [a.outcome for a in attempts] == ["retried"] * (len(starts) - 1) + ["failed"]
    return starts


BACKOFFS: list[tuple[RetryPolicy, list[float]]] = [
    (RetryPolicy(max_attempts=1), [0]),
    (RetryPolicy(max_attempts=4), [0, 1, 3, 7]),
    (RetryPolicy(max_attempts=4, backoff="fixed", initial_backoff=5), [0, 5, 10, 15]),
    (RetryPolicy(max_attempts=4, backoff="linear", initial_backoff=5), [0, 5, 15, 30]),
    (RetryPolicy(max_attempts=5, multiplier=10, max_backoff=50), [0, 1, 11, 61, 111]),
    (RetryPolicy(max_attempts=3, initial_backoff=0), [0, 0, 0]),
]


@pytest.mark.parametrize(("policy", "times"), BACKOFFS)
async def test_a_retry_waits_for_its_backoff(
    tmp_path: Path, autojump_clock: MockClock, policy: RetryPolicy, times: list[float]
) -> None:
    starts = await starts_of(tmp_path, lambda attempt: Retryable("flaky"), policy)
    assert starts == pytest.approx(times, abs=0.01)


async def test_a_retryable_error_may_set_its_delay(tmp_path: Path, autojump_clock: MockClock) -> None:
    delays = {1: 3600.0, 2: 0.0}
    starts = await starts_of(
        tmp_path, lambda n: Retryable("busy", delay=delays.get(n)), RetryPolicy(max_attempts=4)
    )
    assert starts == pytest.approx([0, 3600, 3600, 3604], abs=0.01)


async def test_jitter_takes_a_random_part_off_the_delay(tmp_path: Path, autojump_clock: MockClock) -> None:
    policy = RetryPolicy(max_attempts=40, backoff="fixed", initial_backoff=100, max_backoff=100, jitter=0.5)
    starts = await starts_of(tmp_path, lambda attempt: Retryable("flaky"), policy)
    waits = [after - before for before, after in itertools.pairwise(starts)]
    assert all(49.9 <= wait <= 100.1 for wait in waits)
    assert max(waits) - min(waits) > 10


async def test_a_retried_step_may_succeed_and_forgets_its_error(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("work")
    async def work(step: StepContext) -> int:
        if step.attempt < 3:
            step.result("wrong")
            step.record("tries", "n", step.attempt)
            raise Retryable("flaky")
        return step.attempt

    async with opened(tmp_path) as rt:
        define(rt, work)
        run_id = await run_to_end(rt)
        result = await ended(rt, run_id)
        assert (result.value(int), result.error, result.records) == (3, None, ())
        assert [a.error and a.error.code for a in result.attempts] == ["flaky", "flaky", None]


async def test_retry_step_gives_a_fresh_budget_and_goes_on_counting(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("work")
    async def work(step: StepContext) -> None:
        raise Retryable("flaky")

    async with opened(tmp_path, default_retry=RetryPolicy(max_attempts=2)) as rt:
        define(rt, work)
        run_id = await run_to_end(rt)
        await rt.retry_step(run_id, "s")
        async with working(rt):
            await rt.wait(run_id)
        assert await outcomes(rt, run_id) == ["retried", "failed", "retried", "failed"]


# --- timeouts --------------------------------------------------------------------------------------------


async def test_a_timeout_cancels_the_executor_and_is_retryable(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("slow")
    async def slow(step: StepContext) -> None:
        await trio.sleep_forever()

    async with opened(tmp_path) as rt:
        policy = RetryPolicy(max_attempts=2, backoff="fixed", initial_backoff=10)
        define(rt, slow, graph=one_step("slow", timeout=100, retry=policy))
        run_id = await run_to_end(rt)
        code, message = await error_of(rt, run_id)
        assert (code, await outcomes(rt, run_id)) == ("timeout", ["timeout", "timeout"])
        assert "100 seconds" in message
        assert trio.current_time() == pytest.approx(210)


async def test_an_executor_that_swallows_its_timeout_has_not_succeeded(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    returned: list[float] = []

    @executor("stubborn")
    async def stubborn(step: StepContext) -> str:
        with trio.CancelScope(shield=True):
            await trio.sleep(500)
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            returned.append(trio.current_time())
        return "done"

    async with opened(tmp_path) as rt:
        define(rt, stubborn, graph=one_step("stubborn", timeout=5, retry=RetryPolicy(max_attempts=1)))
        run_id = await run_to_end(rt)
        assert (await error_of(rt, run_id))[0] == "timeout"
        assert (await ended(rt, run_id)).data is None
        assert returned == [pytest.approx(500)]


async def test_an_executor_that_returns_in_time_is_not_timed_out(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("quick")
    async def quick(step: StepContext) -> str:
        await trio.sleep(4.9)
        return "done"

    async with opened(tmp_path) as rt:
        define(rt, quick, graph=one_step("quick", timeout=5))
        assert (await ended(rt, await run_to_end(rt))).value() == "done"


async def test_a_timeout_that_is_the_executors_own_is_no_timeout_of_the_step(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("own")
    async def own(step: StepContext) -> None:
        with trio.fail_after(1):
            await trio.sleep_forever()

    async with opened(tmp_path) as rt:
        define(rt, own, graph=one_step("own", timeout=5))
        run_id = await run_to_end(rt)
        assert (await error_of(rt, run_id))[0] == "executor_error"
        assert (await error_of(rt, run_id))[1].startswith("TooSlowError")


async def test_a_thread_sees_its_timeout_and_holds_its_slot_until_it_returns(tmp_path: Path) -> None:
    busy: list[int] = []

    @executor("thread")
    def thread(step: StepContext) -> None:
        busy.append(rt.statistics().running)
        while True:
            trio.from_thread.check_cancelled()

    with trio.fail_after(30):
        async with opened(tmp_path) as rt:
            define(rt, thread, graph=one_step("thread", timeout=0.05, retry=RetryPolicy(max_attempts=1)))
            run_id = await run_to_end(rt)
            assert (await outcomes(rt, run_id), busy) == (["timeout"], [1])
            assert rt.statistics().running == 0
