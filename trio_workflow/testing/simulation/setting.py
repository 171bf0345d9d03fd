"""Where a world is played: files in memory, a new store that is copied, and the configs of its processes."""

import math
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import trio

from trio_workflow.artifacts import FileArtifactStore
from trio_workflow.projections import SQLiteProjectionStore
from trio_workflow.runtime.config import Config
from trio_workflow.store import SQLiteStore
from trio_workflow.store.sqlite import committer, log_checkpoint
from trio_workflow.store.sqlite.verbs import delete, removal
from trio_workflow.testing.simulation.stage import Stage
from trio_workflow.testing.simulation.world import Fault, Feature, World

LAST_LEASE = 3600.0
"""Seconds that the leases of the last process have in a user's world. It is alone: what it waits for may be
days away, and neither polls nor renewals are to hold that up."""

MAX_PAYLOAD = 2_000
"""Bytes that a payload may have in the engine's own worlds."""


@cache
def memory() -> str | None:
    """A folder in memory, where there is one: files of a simulation need no disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


@cache
def empty_store() -> bytes:
    """The file of a new store: to copy it takes a tenth of the time."""

    async def make(path: str) -> None:
        async with SQLiteStore(path).open(_NoClock()):
            pass

    with tempfile.TemporaryDirectory(dir=memory()) as folder:
        path = os.path.join(folder, "engine.db")
        trio.run(make, path)
        return Path(path).read_bytes()


_SMALL = (
    (log_checkpoint, "LOG_CHANGES", 100),
    (committer, "STUCK_AFTER", 6),
    (delete, "ROWS_AT_ONCE", 12),
    (delete, "STEPS_AT_ONCE", 2),
    (delete, "PAYLOADS_AT_ONCE", 2),
    (removal, "ARTIFACTS_AT_ONCE", 2),
)


@contextmanager
def small_portions() -> Generator[None]:
    """Logs are copied into the file, runs removed in portions, and patience lost, as in a store that holds
    much more and is locked for longer."""
    before = [(module, name, getattr(module, name)) for module, name, _ in _SMALL]
    for module, name, size in _SMALL:
        setattr(module, name, size)
    try:
        yield
    finally:
        for module, name, size in before:
            setattr(module, name, size)


class _NoClock:
    def now(self) -> int:
        return 0

    def monotonic(self) -> float:
        return 0.0

    def not_before(self, at: int) -> None:
        pass


def config_of(stage: Stage, worker_id: str, max_workers: int) -> Config:
    """Of a process at that place; "last" is the one that brings all to its end."""
    world, script, is_last = stage.world, stage.script, worker_id == "last"
    is_users = script.is_users
    of_own: dict[str, Any] = {"default_retry": world.default_retry, "max_payload": MAX_PAYLOAD}
    artifacts, projections = stage.folder / "artifacts", stage.folder / "projections"
    return Config(
        store=SQLiteStore(stage.store, synchronous="OFF"),
        artifact_store=FileArtifactStore(artifacts) if is_users or world.has(Feature.EXTERNAL) else None,
        projection_store=SQLiteProjectionStore(projections) if is_users else None,
        worker_id=worker_id,
        max_workers=max_workers,
        poll_interval=math.inf if is_last and is_users else world.poll,
        lease_duration=LAST_LEASE if is_last and is_users and not script.knows_executors else world.lease,
        queues=world.queues,
        default_queue=world.default_queue,
        keep_finished=None if is_last else _age(world, worker_id),
        max_lost_leases=world.max_lost,
        shutdown_grace=world.grace,
        **({} if is_users else of_own),
    )


def _age(world: World, place: str) -> float | None:
    """Where runs are deleted, some processes do so by themselves. Seconds."""
    roll = world.random(f"age of {place}")
    return roll.choice((None, 1.0, 5.0)) if world.has(Fault.DELETE) else None
