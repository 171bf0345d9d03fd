"""What the others need to know of a process of a simulation."""

import random
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Protocol

from trio_workflow.model.changes import Changes
from trio_workflow.runtime.config import Config

Told = tuple[str, str | None, str | None, int | None, str | None]
"""What an event tells: its kind, run, step, attempt and status."""


class Actor(Protocol):
    """skew: seconds that its wall clock is ahead. is_at_work: it has workers, and they are not being stopped.
    is_interrupted: an executor has asked the program to end. only_operates: it never has any workers.
    waits_for: the runs that its operators wait for. stopped_at: when its workers were cancelled. serves: the
    queues that these are for, None for all. unheard: what its events have not told yet."""

    name: str
    config: Config
    roll: random.Random
    skew: float
    is_dead: bool
    is_at_work: bool
    is_interrupted: bool
    only_operates: bool
    waits_for: list[str]
    stopped_at: float | None
    serves: frozenset[str] | None

    @property
    def unheard(self) -> list[Told]: ...
    def die(self) -> None: ...
    def die_here(self) -> None: ...
    def refuse_if_dead(self) -> None: ...
    def freeze_for(self, seconds: float) -> None: ...
    def interrupted(self) -> None: ...
    def told_later(self, changes: Sequence[Changes]) -> None: ...


CURRENT: ContextVar[Actor | None] = ContextVar("the process of a simulation", default=None)
"""Who the running task belongs to."""
