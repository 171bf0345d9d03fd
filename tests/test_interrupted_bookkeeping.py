"""An interrupt that comes while the engine keeps its books waits until they are kept."""

import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import trio
from store_kit import open_bench, run
from test_locked_store import locked, wait_locked_out

from trio_workflow.points import POINTS, Point


class InterruptAt:
    """Interrupts the program when the point is reached for the first time."""

    def __init__(self, point: Point) -> None:
        self._point: Point | None = point

    def look(self, point: Point, *about: object) -> None:
        if point is self._point:
            self._point = None
            signal.raise_signal(signal.SIGINT)

    async def wait(self, point: Point, about: object) -> None:
        await trio.lowlevel.checkpoint()


def interruptible(main: Callable[[], object]) -> None:
    """Call main where SIGINT interrupts, whatever this process was told to do about it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        main()
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_interrupt_of_a_writer_that_gives_up_leaves_the_line_to_others(tmp_path: Path) -> None:
    ended: list[str] = []

    async def main() -> None:
        scope = trio.CancelScope()

        async def leave() -> None:
            with scope:
                await bench.create(run("gone", "a"))

        async with open_bench(tmp_path / "engine.db") as bench:
            with locked(bench.path), suppress(BaseExceptionGroup):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(leave)
                    await wait_locked_out(bench, 1)
                    with POINTS.watched_by(InterruptAt(Point.GAVE_UP)):
                        scope.cancel()
                        await trio.sleep_forever()
            ended.append("interrupted")
            with trio.fail_after(20):
                await bench.create(run("r", "a"))
            ended.append(await bench.run_status("r"))

    interruptible(lambda: trio.run(main))
    assert ended == ["interrupted", "pending"]


PROGRAM = """
import signal, sys, trio
from trio_workflow import Config, Package, RunBuilder, SQLiteStore, StepContext, open_runtime
from trio_workflow.points import POINTS, Point

signal.signal(signal.SIGINT, signal.default_int_handler)
package = Package("p")

@package.entrypoint
def start(run: RunBuilder) -> None:
    run.step("s", kind="p/s")

@package.executor("p/s")
async def work(step: StepContext) -> int:
    return 1

class Interrupt:
    def look(self, point, *about):
        if point is Point.END:
            signal.raise_signal(signal.SIGINT)
    async def wait(self, point, about):
        await trio.lowlevel.checkpoint()

async def main() -> None:
    async with open_runtime(Config(store=SQLiteStore(sys.argv[1]))) as rt, trio.open_nursery() as nursery:
        rt.register_package(package)
        await rt.start_run("p", run_id="r")
        with POINTS.watched_by(Interrupt()):
            await nursery.start(rt.start_workers)
            await trio.sleep_forever()

async def afterwards() -> None:
    async with open_runtime(Config(store=SQLiteStore(sys.argv[1]))) as rt:
        print([str(attempt.outcome) for attempt in (await rt.result("r", "s")).attempts])

try:
    trio.run(main)
except* KeyboardInterrupt:
    trio.run(afterwards)
"""


def test_an_interrupt_as_an_attempt_ends_takes_nothing_from_its_outcome(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "engine.db")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert (ran.stdout, ran.stderr) == ("['succeeded']\n", "")
