"""What a seed decides about a recording, and where its files are."""

from pathlib import Path
from typing import Literal

import attrs

from trio_workflow import Config, FileArtifactStore, SQLiteProjectionStore, SQLiteStore

Synchronous = Literal["FULL", "NORMAL"]


@attrs.frozen
class Setting:
    """Of four seeds two have synchronous=FULL, and two have two processes.

    One process is in virtual time: each recording of its seed is the same. Two processes are in real time and
    have threads; with half of their seeds the second one is killed.
    """

    seed: int

    @property
    def synchronous(self) -> Synchronous:
        return "FULL" if self.seed % 2 == 0 else "NORMAL"

    @property
    def has_two_processes(self) -> bool:
        return self.seed % 4 >= 2

    def is_killed(self, name: str) -> bool:
        """Whether the process of that name ends by SIGKILL, with the store open."""
        return self.has_two_processes and self.seed % 8 >= 4 and name == "b"

    def __str__(self) -> str:
        processes = "two processes" if self.has_two_processes else "one process"
        return f"seed {self.seed} ({self.synchronous}, {processes})"


@attrs.frozen
class Site:
    """The folders of a store. None of them is there before the first start."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "var" / "lib" / "engine.db"

    @property
    def artifacts(self) -> Path:
        return self.root / "data" / "artifacts"

    @property
    def projections(self) -> Path:
        return self.root / "data" / "views"


def settings(site: Site, synchronous: Synchronous, worker_id: str, poll_interval: float) -> Config:
    return Config(
        store=SQLiteStore(site.database, synchronous=synchronous),
        artifact_store=FileArtifactStore(site.artifacts),
        projection_store=SQLiteProjectionStore(site.projections),
        worker_id=worker_id,
        max_workers=4,
        poll_interval=poll_interval,
    )
