"""What a service process is started with, how it opens its runtimes, and the folders of all processes."""

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Literal

import attrs
import trio
from chaos.program import LEASE, POLL, Site

from trio_workflow import (
    Config,
    FileArtifactStore,
    QueueConfig,
    Runtime,
    SQLiteProjectionStore,
    SQLiteStore,
    StoreUnavailableError,
    open_runtime,
)

from . import open_flag
from .steps import load
from .workload import QUEUES

BACKUPS = "backups"
NEVER = 100_000
"""More lost leases than any step has here: losing leases must not fail a run."""


Synchronous = Literal["FULL", "NORMAL"]


@attrs.frozen(kw_only=True)
class ServiceOptions:
    """worker_id: of its runtime. keep: seconds after which it removes ended runs, None for never.

    seconds: how long clients go on, None until a signal. has_second_runtime: a second runtime with workers is
    open all the time. has_bulk: one client more stores and deletes large runs. switch_interval: of the
    interpreter's threads, None for Python's own.
    """

    worker_id: str
    clients: int
    seed: str
    max_workers: int
    keep: float | None = None
    seconds: float | None = None
    has_second_runtime: bool = False
    has_bulk: bool = False
    synchronous: Synchronous = "FULL"
    switch_interval: float | None = None

    def to_text(self) -> str:
        return json.dumps(attrs.asdict(self))

    @classmethod
    def from_text(cls, text: str) -> "ServiceOptions":
        return cls(**json.loads(text))


def make_folders(site: Site) -> None:
    for folder in (site.disk, site.logs, site.root / open_flag.FOLDER, site.root / BACKUPS):
        folder.mkdir()


def projections(site: Site) -> Path:
    return site.disk / "projections"


def config_of(
    site: Site,
    worker_id: str,
    *,
    max_workers: int = 4,
    keep: float | None = None,
    queues: dict[str, QueueConfig] = QUEUES,
    poll_interval: float = POLL,
    synchronous: Synchronous = "FULL",
    database: Path | None = None,
) -> Config:
    """database: another file than the one that all processes share."""
    return Config(
        store=SQLiteStore(database or site.database, synchronous=synchronous),
        artifact_store=FileArtifactStore(site.artifacts),
        projection_store=SQLiteProjectionStore(projections(site)),
        worker_id=worker_id,
        max_workers=max_workers,
        lease_duration=LEASE,
        poll_interval=poll_interval,
        max_lost_leases=NEVER,
        queues=queues,
        keep_finished=keep,
    )


@asynccontextmanager
async def opened(config: Config) -> AsyncGenerator[Runtime]:
    """A runtime with the workload. A store that is locked when it is opened is waited for."""
    async with AsyncExitStack() as stack:
        while True:
            try:
                rt = await stack.enter_async_context(open_runtime(config))
                break
            except StoreUnavailableError as error:
                logging.getLogger("load").info("opening is tried again: %s", error)
                await trio.sleep(0.1)
        rt.register_package(load)
        yield rt
