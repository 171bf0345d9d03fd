"""A runtime keeps nothing of work that is over: no waiter, no lease, no lock, no connection, no descriptor.

Every collection that can be reached from a runtime through objects of this package is inspected, so that one
that is added later is inspected too. RETAINED names those that may hold something for ever, WHILE_RUNNING the
most that the others may hold while workers run and nothing is to be done.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import trio

from trio_workflow.runtime.runtime import Runtime, engine_of
from trio_workflow.testing.simulation.actor import Actor
from trio_workflow.testing.simulation.stage import Stage

RETAINED = frozenset(
    {
        "Engine.told",  # names of kinds and queues that a line of the log was written for
        "Engine.rate_limited",  # names of queues
        "Engine.went_first",  # names of queues
        "Slots._queues",  # a limiter for each queue
        "Desk._limits",  # the limit of each queue
        "Desk._started",  # a count for each queue
        "Desk.ends",  # a count for each way to end
        "Desk._dates",  # the last response to a claim
        "SQLiteProjectionStore._projections",  # an object for each name
    }
)
"""Attributes that may hold something as long as the runtime exists. Their size does not grow with runs."""

INSPECTED = tuple(
    f"trio_workflow.{name}" for name in ("runtime", "store", "artifacts", "projections", "offload")
)
NOT_INSPECTED = (
    "trio_workflow.runtime.config",
    "trio_workflow.runtime.registry",
    "trio_workflow.store.sqlite.config",
)

WHILE_RUNNING: Mapping[str, int] = {
    "Engine.poll_intervals": 1,  # of the workers
    "Engine._enders": 4,  # three of the runtime's block, one of the workers
    "Hub._workers": 1,
    "Workers._works": 1,
    "Session._scopes": 3,  # of the scheduler and the two tasks that keep leases
    "EventBoard._streams": 3,  # those by which the simulation reads events
    "Readers._idle": 3,
}
"""The most entries while workers run and nothing is to be done."""

AFTER_WORKERS: Mapping[str, int] = {
    "Engine.poll_intervals": 1,  # of the one wait that goes on outside of the workers' block
    "Hub._waiting": 1,  # of the same wait
    "Engine._enders": 3,  # of the runtime's block
    "EventBoard._streams": 1,
    "Readers._idle": 3,
    "Writer._line": 2,  # a poll may be under way
    "Entry.verbs": 1,  # of that poll
    "Entry.answers": 1,
    "Committer._committed": 8,  # of commits whose answer was lost: the next call publishes them
}
"""The most entries when the workers and the operators have ended, and the runtime is still open."""

WHEN_CLOSED: Mapping[str, int] = {"Committer._committed": 8}
"""Of commits whose answer was lost, and after which nothing was called any more."""

PATIENCE = 30.0
"""Seconds of virtual time after which everything that waited for a run has learned that the run has ended."""


async def check_leaks_while_idle(stage: Stage, rt: Runtime) -> None:
    """All steps have ended, and the workers go on. A wait may still be reading the end of its run."""
    with trio.move_on_after(PATIENCE):
        while list(leaks(rt, WHILE_RUNNING)):  # noqa: ASYNC110 - a collection has no event of trio's
            await trio.sleep(0.5)
    for leak in leaks(rt, WHILE_RUNNING):
        stage.history.tell("an idle runtime keeps something of work that is over", leak)


def check_leaks_after_workers(stage: Stage, process: Actor, rt: Runtime) -> None:
    """Its workers and operators have ended."""
    if process.is_dead:
        return
    for leak in leaks(rt, AFTER_WORKERS):
        stage.history.tell("workers that ended left something behind", f"{process.name}: {leak}")


def check_leaks_when_closed(stage: Stage, process: Actor, rt: Runtime) -> None:
    """Its block has ended, and everything that used it."""
    if process.is_dead:
        return
    for leak in leaks(rt, WHEN_CLOSED):
        stage.history.tell("a closed runtime keeps something", f"{process.name}: {leak}")


def check_descriptors(stage: Stage) -> None:
    """All processes of the world have ended: none of its files is open."""
    for path in _open_files():
        if path.startswith(f"{stage.folder}{os.sep}"):
            stage.history.tell("a file is still open", path)


def leaks(rt: Runtime, allowed: Mapping[str, int]) -> Iterator[str]:
    """A line for each collection with more than is allowed, each lock that is held, each token borrowed."""
    config = engine_of(rt).config
    seen = set[int]()
    for root in (rt, config.artifact_store, config.projection_store):
        yield from _leaks_of(root, allowed, seen)


def _leaks_of(owner: object, allowed: Mapping[str, int], seen: set[int]) -> Iterator[str]:
    if id(owner) in seen or not _is_inspected(type(owner).__module__):
        return
    seen.add(id(owner))
    for name, value in _attributes(owner):
        path = f"{type(owner).__name__}.{name}"
        if path not in RETAINED:
            yield from _leaks_in(path, value, allowed)
        for part in _parts(value):
            yield from _leaks_of(part, allowed, seen)
            yield from _taken(path, part)


def _is_inspected(module: str) -> bool:
    """Configuration and what was registered belong to the caller."""
    return module.startswith(INSPECTED) and module not in NOT_INSPECTED


def _attributes(owner: object) -> Iterator[tuple[str, Any]]:
    yield from getattr(owner, "__dict__", {}).items()
    for cls in type(owner).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if hasattr(owner, name):
                yield name, getattr(owner, name)


def _parts(value: object) -> Collection[object]:
    """The value, or what it holds."""
    if isinstance(value, Mapping):
        entries = cast("Mapping[object, object]", value)
        return [*entries.keys(), *entries.values()]
    return list(cast("Collection[object]", value)) if _is_collection(value) else [value]


def _is_collection(value: object) -> bool:
    return isinstance(value, Collection) and not isinstance(value, str | bytes | Path)


def _leaks_in(path: str, value: object, allowed: Mapping[str, int]) -> Iterator[str]:
    if _is_collection(value):
        entries = cast("Collection[object]", value)
        if len(entries) > allowed.get(path, 0):
            yield f"{path} holds {len(entries)}: {list(entries)[:3]!r}"
    elif path == "Database._conn" and value is not None and allowed is WHEN_CLOSED:
        yield f"{path} is open"


def _taken(path: str, part: object) -> Iterator[str]:
    if isinstance(part, trio.CapacityLimiter) and part.borrowed_tokens:
        yield f"{path} has lent {part.borrowed_tokens} tokens"
    elif isinstance(part, trio.Lock) and part.locked():
        yield f"{path} is locked"


def _open_files() -> Iterator[str]:
    """Paths of this process's open files, where the system lists them."""
    folder = Path("/proc/self/fd")
    for entry in folder.iterdir() if folder.exists() else ():
        try:
            yield os.readlink(entry)
        except FileNotFoundError:  # the descriptor of this very listing
            continue
