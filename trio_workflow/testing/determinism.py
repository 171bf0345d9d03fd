"""deterministic: one seed, one schedule."""

import itertools
import random
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import trio

from trio_workflow.errors import WorkflowError
from trio_workflow.source import SOURCE

# trio shuffles the tasks that are ready at once, on purpose. These two names are private to it.
_run: Any = sys.modules.get("trio._core._run")
_SWITCH, _RANDOM = "_ALLOW_DETERMINISTIC_SCHEDULING", "_r"


@contextmanager
def deterministic(seed: int) -> Generator[None]:
    """Within the block `trio.run` schedules as the seed says: same seed, same schedule, step by step.

    Goes round `trio.run`, which should have a MockClock: threads and real time keep their own pace. Run ids,
    tokens and jitter come from the seed too; the global `random` is the caller's to seed. Two runs on one
    store need two seeds, or run ids that are given. Everything is restored at the end of the block. Raises
    WorkflowError inside a trio run, and with a trio that has renamed what this relies on.
    """
    if trio.lowlevel.in_trio_run():
        raise WorkflowError("deterministic goes round trio.run: it cannot start inside a trio run")
    # Two tests with one seed may share a store: their tokens differ all the same.
    with seeded(seed, mark=next(_marks)):
        yield


_marks = itertools.count(1)


@contextmanager
def seeded(seed: int, *, mark: int) -> Generator[None]:
    """The same with tokens that mark and seed decide."""
    shuffler = _shuffler()
    allowed, state = getattr(_run, _SWITCH), shuffler.getstate()
    setattr(_run, _SWITCH, True)
    shuffler.seed(seed)
    source = SOURCE.replace(random.Random(seed), f"{mark}-")
    try:
        yield
    finally:
        SOURCE.replace(*source)
        shuffler.setstate(state)
        setattr(_run, _SWITCH, allowed)


def _shuffler() -> random.Random:
    shuffler = getattr(_run, _RANDOM, None)
    if not isinstance(getattr(_run, _SWITCH, None), bool) or not isinstance(shuffler, random.Random):
        raise WorkflowError(
            f"deterministic does not know this trio ({trio.__version__}): it relies on "
            f"trio._core._run.{_SWITCH} and .{_RANDOM}, and one of them is gone"
        )
    return shuffler
