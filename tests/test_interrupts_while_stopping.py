"""Ctrl-C, and Ctrl-C again while workers are being stopped: the program ends, and the step is released."""

import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import trio
from stories import config, define
from trio.testing import MockClock

from trio_workflow import Runtime, StepContext, executor, open_runtime

GRACE = 1000.0


@pytest.fixture(autouse=True)
def interrupts() -> Iterator[None]:
    """A process in the background of a shell ignores the signal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@trio.lowlevel.enable_ki_protection  # so that trio gives the interrupt to the main task
async def interrupt_at(*times: float) -> None:
    for at in times:
        await trio.sleep_until(at)
        signal.raise_signal(signal.SIGINT)


async def run_workers(rt: Runtime) -> None:
    await rt.start_workers()


async def run_one_cycle(rt: Runtime) -> None:
    await rt.run_once()


@pytest.mark.parametrize("work", [run_workers, run_one_cycle])
@pytest.mark.parametrize("times", [(1.0, 2.0), (1.0, 2.0, 2.0, 3.0)], ids=["twice", "often"])
def test_a_second_interrupt_ends_the_grace_and_the_program(
    tmp_path: Path, work: Callable[[Runtime], Awaitable[None]], times: tuple[float, ...]
) -> None:
    ended: list[float] = []

    @executor("hang")
    async def hang(step: StepContext) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(interrupt_at, *times)
            async with open_runtime(config(tmp_path, shutdown_grace=GRACE)) as rt:
                define(rt, hang)
                await rt.start_run("p", run_id="r")
                await work(rt)

    with pytest.raises(BaseException) as caught:  # noqa: PT011 - alone, or in the group of main's nursery
        trio.run(main, clock=MockClock(autojump_threshold=0))
    assert _has_interrupt(caught.value)
    assert ended == [2.0]
    trio.run(step_is_ready, tmp_path, clock=MockClock(autojump_threshold=0))


def _has_interrupt(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(map(_has_interrupt, error.exceptions))
    return isinstance(error, KeyboardInterrupt)


async def step_is_ready(folder: Path) -> None:
    async with open_runtime(config(folder)) as rt:
        step = await rt.step("r", "s")
        assert step is not None
        assert (step.status, step.attempt) == ("ready", 1)
