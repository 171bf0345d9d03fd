"""Virtual time stands still while user code runs in a thread, which MockClock's autojump cannot see.

Rule: a thread runs from when its host, the task that started it, waits for it, until the host is woken:
because the thread has returned, or because it waits for the event loop itself, in `trio.from_thread.run`.
What it waits for there may take virtual time. (A call with `trio_token=` is a task of its own: its thread is
taken to run meanwhile.)
"""

import math
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import CodeType, FrameType
from typing import Any

import trio

from trio_workflow.offload import runs_in_virtual_time

_CALL: CodeType = trio.to_thread.run_sync.__code__
_WAIT: CodeType = trio.lowlevel.wait_task_rescheduled.__code__


@contextmanager
def held_while_in_thread() -> Generator[None]:
    """Round a `trio.to_thread.run_sync` of the current task. Nothing outside of virtual time."""
    if not runs_in_virtual_time():
        yield
        return
    host, hold = trio.lowlevel.current_task(), _hold()
    hold.add(host)
    try:
        yield
    finally:
        hold.remove(host)


class _Hold(trio.abc.Instrument):
    """One for a trio run. hosts: the tasks that wait for user code in threads, with whether that runs now.
    threshold: autojump's, when no thread runs."""

    def __init__(self, clock: Any) -> None:
        self._clock, self._threshold = clock, math.inf
        self._hosts: dict[trio.lowlevel.Task, bool] = {}

    def add(self, host: trio.lowlevel.Task) -> None:
        if not self._hosts:
            self._threshold = self._clock.autojump_threshold
            trio.lowlevel.add_instrument(self)
        self._set(host, True)

    def remove(self, host: trio.lowlevel.Task) -> None:
        self._set(host, False)
        del self._hosts[host]
        if not self._hosts:
            with suppress(RuntimeError, KeyError):  # the run is over: it was left with its threads in it
                trio.lowlevel.remove_instrument(self)

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        if task in self._hosts:
            self._set(task, False)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task in self._hosts:
            self._set(task, _waits_for_its_thread(task))

    def _set(self, host: trio.lowlevel.Task, runs: bool) -> None:
        self._hosts[host] = runs
        self._clock.autojump_threshold = math.inf if any(self._hosts.values()) else self._threshold


_HOLD: trio.lowlevel.RunVar[_Hold] = trio.lowlevel.RunVar("the hold of autojump")


def _hold() -> _Hold:
    try:
        return _HOLD.get()
    except LookupError:
        hold = _Hold(trio.lowlevel.current_clock())
        _HOLD.set(hold)
        return hold


def _waits_for_its_thread(host: trio.lowlevel.Task) -> bool:
    """And for nothing else: the innermost call it waits in is that of a thread."""
    frames: list[FrameType] = [frame for frame, _ in host.iter_await_frames()]
    codes = [frame.f_code for frame in frames]
    return _WAIT in codes and codes[codes.index(_WAIT) - 1] is _CALL
