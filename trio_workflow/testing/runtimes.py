"""open_test_runtime: a runtime whose files are gone when its block ends."""

import math
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from trio_workflow.artifacts import FileArtifactStore
from trio_workflow.projections import SQLiteProjectionStore
from trio_workflow.runtime.config import Config
from trio_workflow.runtime.opening import open_runtime
from trio_workflow.runtime.runtime import Runtime
from trio_workflow.store import SQLiteStore


@asynccontextmanager
async def open_test_runtime(**config: Any) -> AsyncGenerator[Runtime]:
    """A runtime on a private temporary store, with an artifact and a projection store beside it.

    config: any field of `Config`, in place of what it would be here: `store`, `artifact_store` and
    `projection_store` in a temporary folder, `poll_interval` infinite (another process's work is never looked
    for), the rest as in `Config`. The folder is removed when the block has ended. Two runtimes share a store
    if both are given the same `store=SQLiteStore(path)`. Raises what `Config` and `open_runtime` raise.
    """
    with TemporaryDirectory(prefix="trio_workflow-") as folder:
        yours = Path(folder)
        defaults: dict[str, Any] = {
            "store": SQLiteStore(yours / "engine.db", synchronous="OFF"),
            "artifact_store": FileArtifactStore(yours / "artifacts"),
            "projection_store": SQLiteProjectionStore(yours / "projections"),
            "poll_interval": math.inf,
        }
        async with open_runtime(Config(**{**defaults, **config})) as runtime:
            yield runtime
