"""What tests of removal share: an artifact store that fails when it should, and the rows of removals."""

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import trio

from trio_workflow import Retryable, StepContext, executor
from trio_workflow.artifacts import FileArtifactStore
from trio_workflow.model.artifact import ArtifactRef


class Failing(FileArtifactStore):
    """Raises for every artifact whose id holds one of the words in `held`. tried, times: of its calls."""

    def __init__(self, root: Path, *held: str) -> None:
        super().__init__(root)
        self.held: Collection[str] = held
        self.tried: list[str] = []
        self.times: list[float] = []
        self.error: Exception = PermissionError("403: under legal hold")

    async def delete(self, ref_or_id: ArtifactRef | str, /) -> None:
        assert isinstance(ref_or_id, ArtifactRef)
        self.tried.append(ref_or_id.id)
        self.times.append(trio.current_time())
        if any(word in ref_or_id.id for word in self.held):
            await trio.lowlevel.checkpoint()
            raise self.error
        await super().delete(ref_or_id)


@attrs.frozen
class RemovalRow:
    id: str
    tries: int
    error: str | None
    next_try_at: int


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as conn:
        return conn.execute(sql).fetchall()


def removals(path: Path) -> list[RemovalRow]:
    """The removals that are left, in the order in which they were made."""
    sql = "SELECT ref ->> '$.id', tries, error, next_try_at FROM artifact_removals ORDER BY removal_key"
    return [RemovalRow(*row) for row in query(path, sql)]


def attempt_artifacts(path: Path) -> list[tuple[str, int]]:
    """Id and `released` of what attempts have put and did not succeed with."""
    return query(path, "SELECT id, released FROM attempt_artifacts ORDER BY attempt_artifact_key")


def bodies(root: Path) -> list[bytes]:
    """The bytes that the artifact store keeps."""
    files = [path for path in root.rglob("*") if path.is_file() and not path.name.endswith(".json")]
    return sorted(path.read_bytes() for path in files)


@executor("put")
async def put(step: StepContext) -> None:
    """Puts bytes of its own."""
    await step.store_artifact("a.bin", "application/x", f"bytes of {step.run_id}".encode())


@executor("flaky")
async def flaky(step: StepContext) -> None:
    """Puts other bytes in each attempt, and succeeds in the third."""
    await step.store_artifact("a.bin", "application/x", f"attempt {step.attempt}".encode())
    if step.attempt < 3:
        raise Retryable("busy", delay=0)
