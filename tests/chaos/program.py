"""What the processes have in common: where things are, their settings, and that none outlives the driver."""

import ctypes
import logging
import signal
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import attrs
import trio

from trio_workflow import Config, FileArtifactStore, Runtime, SQLiteStore, StoreUnavailableError, open_runtime

from .steps import bulk, chaos
from .workload import QUEUES

LEASE, POLL = 2.0, 0.1
_PR_SET_PDEATHSIG = 1
SECOND_RUNTIME, REMOVE_RUNS = signal.SIGWINCH, signal.SIGURG
"""What a worker is asked to do besides its work. A process that does not listen ignores both signals."""


@attrs.frozen
class Site:
    """The folders of one chaos run. disk: what fills up. logs: everything that must survive that."""

    root: Path

    @property
    def disk(self) -> Path:
        return self.root / "disk"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def backups(self) -> Path:
        return self.root / "backups"

    @property
    def folders(self) -> tuple[Path, ...]:
        """Those that must be there before anything begins."""
        return self.disk, self.logs, self.backups

    @property
    def database(self) -> Path:
        return self.disk / "engine.db"

    @property
    def artifacts(self) -> Path:
        return self.disk / "artifacts"


def begin_process() -> None:
    """Die with the driver, however it ends; tell what is wrong on standard error."""
    if hasattr(ctypes.CDLL(None), "prctl"):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")


def settings(site: Site, worker_id: str) -> Config:
    return Config(
        store=SQLiteStore(site.database),
        artifact_store=FileArtifactStore(site.artifacts),
        worker_id=worker_id,
        max_workers=8,
        lease_duration=LEASE,
        poll_interval=POLL,
        max_lost_leases=100_000,
        queues=QUEUES,
    )


@asynccontextmanager
async def opened_copy(site: Site, copy: Path) -> AsyncGenerator[Runtime]:
    """A runtime on a copy of the database. Nobody else knows of the copy: what fails is the copy's fault."""
    config = attrs.evolve(settings(site, "backup"), store=SQLiteStore(copy))
    async with open_runtime(config) as rt:
        yield rt


@asynccontextmanager
async def opened(site: Site, worker_id: str) -> AsyncGenerator[Runtime]:
    """A runtime with the workload; a store that is locked or full when it is opened is waited for."""
    async with AsyncExitStack() as stack:
        while True:
            try:
                rt = await stack.enter_async_context(open_runtime(settings(site, worker_id)))
                break
            except StoreUnavailableError as error:
                logging.getLogger("chaos").warning("opening is tried again: %s", error)
                await trio.sleep(0.2)
        rt.register_package(chaos)
        rt.register_package(bulk)
        yield rt
