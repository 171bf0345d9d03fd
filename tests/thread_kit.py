"""What the tests of threads share: calls that stay in their threads until the test lets them go."""

import threading
from pathlib import Path

import trio
from trio.testing import active_thread_count, wait_all_tasks_blocked

LONG = 20.0
"""Seconds after which a call that nobody lets go gives up, so that a test that fails also ends."""


class Gate:
    """Calls of `enter` wait in their threads until `open`. inside: how many have entered."""

    def __init__(self) -> None:
        self._go, self._lock = threading.Event(), threading.Lock()
        self.inside = 0

    def enter(self, *_: object) -> int:
        with self._lock:
            self.inside += 1
        assert self._go.wait(LONG)
        return 1

    def open(self) -> None:
        self._go.set()

    async def wait_inside(self, count: int) -> None:
        """Until so many have entered, and every task waits."""
        with trio.fail_after(LONG):
            while self.inside < count:  # noqa: ASYNC110 - a thread has no event of trio's
                await trio.sleep(0.001)
        await wait_all_tasks_blocked()


async def wait_for_threads(count: int) -> None:
    """Until that many threads, or more, work for this trio run, and every task waits."""
    with trio.fail_after(LONG):
        while active_thread_count() < count:  # noqa: ASYNC110 - a thread has no event of trio's
            await trio.sleep(0.001)
    await wait_all_tasks_blocked()


def open_files(folder: Path) -> list[str]:
    """The files below the folder that this process has open, each as often as it is open."""
    found: list[str] = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            target = entry.readlink()
        except FileNotFoundError:  # the descriptor of this listing
            continue
        if target.is_relative_to(folder):
            found.append(str(target.relative_to(folder)))
    return sorted(found)
