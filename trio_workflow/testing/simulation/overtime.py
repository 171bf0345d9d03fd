"""A limit on the real time that a world takes, whatever user code in it does.

Rule: a thread of its own tells when the time is up. An event loop that goes round is then stopped by its
next turn; one that user code holds up is interrupted by a signal, where that can be had; if nothing helps, it
is at least told which seed it was.
"""

import signal
import sys
import threading
import traceback
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import trio

from trio_workflow.testing.simulation.places import place_in

HELD_UP = 2.0
"""Seconds in which an event loop that goes round has surely taken a turn."""


class OvertimeError(BaseException):
    """Raised in code that holds up the event loop. Not an Exception: user code is not to handle it."""


class Overtime:
    """is_up: set once. place: where user code held the event loop up, if it did."""

    def __init__(self, seconds: float, seed: int) -> None:
        self._seconds, self._seed = seconds, seed
        self.is_up = False
        self.place = ""
        self._token: trio.lowlevel.TrioToken | None = None
        self._has_ended = threading.Event()
        self._main = threading.main_thread() is threading.current_thread()
        self._has_signal = False  # the main thread can be interrupted
        self._told = False

    def wakes(self, token: trio.lowlevel.TrioToken) -> None:
        """This event loop takes another turn when the time is up."""
        self._token = token

    @contextmanager
    def watched(self) -> Generator[None]:
        """Round `trio.run`."""
        thread = threading.Thread(target=self._watch, name=f"limit of seed {self._seed}", daemon=True)
        before = self._take_signal()
        thread.start()
        try:
            yield
        finally:
            self._has_ended.set()
            thread.join()
            if before is not None:
                signal.signal(signal.SIGALRM, before)

    def _watch(self) -> None:
        if self._has_ended.wait(self._seconds):
            return
        self.is_up = True
        if self._token is not None:
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(lambda: None)
        while not self._has_ended.wait(HELD_UP):
            self._tell_once()
            if self._has_signal:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGALRM)

    def _tell_once(self) -> None:
        if not self._told:
            told = f"simulate: seed {self._seed} takes longer than {self._seconds:g} s: something holds it up"
            print(told, file=sys.stderr, flush=True)
        self._told = True

    def _take_signal(self) -> Any:
        """Answers what handled it before; None if it is not to be had."""
        if not self._main or not hasattr(signal, "SIGALRM"):
            return None
        if signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL:
            return None
        self._has_signal = True
        return signal.signal(signal.SIGALRM, self._interrupt)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if not self._has_ended.is_set():
            self.place = self.place or place_in(traceback.extract_stack(frame))
            raise OvertimeError
