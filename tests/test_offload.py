"""Blocking calls go to threads, and under a MockClock nowhere."""

import signal
import subprocess
import sys
import threading

import pytest
import trio
from trio.testing import MockClock, assert_checkpoints, wait_all_tasks_blocked

from trio_workflow.offload import Offload

CLOCKS = [None, MockClock]


@pytest.fixture(params=CLOCKS, ids=["real clock", "mock clock"])
def clock(request: pytest.FixtureRequest) -> MockClock | None:
    """For programs that call trio.run themselves, so that they can run under either clock."""
    return None if request.param is None else MockClock(autojump_threshold=0)


def work_a_while() -> int:
    """Some milliseconds of work, long enough for a clock to jump meanwhile."""
    sum(range(300_000))
    return threading.get_ident()


async def test_a_call_runs_in_a_thread_and_its_answer_comes_back() -> None:
    assert await Offload().run(work_a_while) != threading.get_ident()
    assert await Offload().run(divmod, 7, 2) == (3, 1)


async def test_under_a_mock_clock_a_call_runs_inline_and_time_stands_still(
    autojump_clock: MockClock,
) -> None:
    with trio.fail_after(60):
        assert await Offload().run(work_a_while) == threading.get_ident()
    assert trio.current_time() == 0


async def test_the_limiter_bounds_the_threads() -> None:
    limiter = trio.CapacityLimiter(1)
    offload = Offload(limiter)
    go_on = threading.Event()
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(lambda: offload.run(go_on.wait))
        await wait_all_tasks_blocked()
        statistics = limiter.statistics()
        go_on.set()
    assert (statistics.borrowed_tokens, statistics.tasks_waiting) == (1, 1)


def test_an_error_of_the_call_comes_out_as_itself(clock: MockClock | None) -> None:
    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            await Offload().run(divmod, 7, 0)

    trio.run(main, clock=clock)


def test_a_caller_that_was_cancelled_before_calls_nothing(clock: MockClock | None) -> None:
    calls: list[int] = []

    async def main() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await Offload().run(calls.append, 1)
        assert scope.cancelled_caught

    trio.run(main, clock=clock)
    assert calls == []


def test_a_call_that_was_begun_delivers_its_answer_to_a_cancelled_caller(clock: MockClock | None) -> None:
    async def main() -> None:
        token = trio.lowlevel.current_trio_token()

        def cancel_the_caller() -> str:
            if threading.current_thread() is threading.main_thread():
                scope.cancel()
            else:
                trio.from_thread.run_sync(scope.cancel, trio_token=token)
            return "done"

        with trio.CancelScope() as scope:
            assert await Offload().run(cancel_the_caller) == "done"
            answered.append(True)
            await trio.lowlevel.checkpoint()
        assert scope.cancelled_caught

    answered: list[bool] = []
    trio.run(main, clock=clock)
    assert answered == [True]


def test_a_call_is_a_checkpoint(clock: MockClock | None) -> None:
    async def main() -> None:
        with assert_checkpoints():
            await Offload().run(len, "abc")

    trio.run(main, clock=clock)


def test_an_interrupt_does_not_stop_an_inline_call_halfway() -> None:
    async def main() -> None:
        def interrupted() -> None:
            signal.raise_signal(signal.SIGINT)
            steps.append("went on")

        await Offload().run(interrupted)

    steps: list[str] = []
    # A process in the background of a shell ignores the signal, and trio then leaves it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            trio.run(main, clock=MockClock())
    finally:
        signal.signal(signal.SIGINT, before)
    assert steps == ["went on"]


def test_production_code_does_not_import_the_testing_kit() -> None:
    program = """
import sys, trio
from trio_workflow.offload import Offload
assert trio.run(Offload().run, len, "abc") == 3
assert "trio.testing" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
