"""A scheduler that the seed decides, and that can stop one process among several in a trio run.

A process here is whoever has it as its value of CURRENT: its tasks, and those they start. While it is frozen
none of them takes a step, time goes on, and their deadlines pass, as with SIGSTOP; then they all go on.
"""

import contextvars
import random
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from trio_workflow.testing.simulation.overtime import Overtime

_run: Any = sys.modules["trio._core._run"]


MOST_TURNS = 500_000
"""More than any sound world takes."""


class StuckError(Exception):
    """Tasks take turn after turn, and nothing comes to an end."""


class Scheduler(random.Random):
    """Takes the place of the random numbers that trio shuffles its ready tasks with."""

    def __init__(self, seed: str, owner: "contextvars.ContextVar[Any]") -> None:
        super().__init__(seed)
        self._owner = owner
        self._frozen: dict[Any, list[Any]] = {}  # process -> its tasks that would take a step
        self._turns = MOST_TURNS
        self.overtime: Overtime | None = None  # in place of a number of turns

    def allow(self, turns: int) -> None:
        """Raise StuckError, out of `trio.run`, if that many turns do not do."""
        self._turns = min(self._turns, turns)

    def shuffle(self, x: Any) -> None:
        self._turns -= 1
        if self.overtime is not None and self.overtime.is_up:
            raise StuckError("the time is up")
        if self._turns < 0:
            raise StuckError(f"tasks go on and on: {sorted({task.name for task in x})}")
        super().shuffle(x)
        if self._frozen:
            x[:] = [task for task in x if not self._is_held(task)]

    def _is_held(self, task: Any) -> bool:
        held = self._frozen.get(task.context.get(self._owner))
        if held is not None:
            held.append(task)
        return held is not None

    def limit(self, overtime: Overtime) -> None:
        """Raise StuckError when the time is up, however many turns that takes."""
        self._turns, self.overtime = sys.maxsize, overtime

    def is_frozen(self, process: object) -> bool:
        return process in self._frozen

    def freeze(self, process: object) -> None:
        """From the next turn on none of its tasks takes a step."""
        self._frozen.setdefault(process, [])

    def thaw(self, process: object) -> None:
        _run.GLOBAL_RUN_CONTEXT.runner.runq.extend(self._frozen.pop(process, ()))

    def thaw_all(self) -> None:
        for process in list(self._frozen):
            self.thaw(process)

    @contextmanager
    def in_charge(self) -> Generator[None]:
        """Within the block trio asks this scheduler. Use it inside `deterministic`."""
        before, _run._r = _run._r, self
        try:
            yield
        finally:
            _run._r = before
