"""What the tests of FileArtifactStore share: a store on a root of its own, and what is in it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from trio_workflow.artifacts import ArtifactStore, FileArtifactStore
from trio_workflow.model.artifact import ArtifactObject, ArtifactRef, Body

MIB = 1024 * 1024


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "artifacts"


@pytest.fixture
def store(root: Path) -> FileArtifactStore:
    return FileArtifactStore(root)


def an_object(body: Body, id: str = "run/step/one") -> ArtifactObject:
    return ArtifactObject(
        id=id, name="one.txt", kind="text", content_type="text/plain", metadata={"a": "ä"}, body=body
    )


async def chunks(*parts: Any) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def content(store: ArtifactStore, ref_or_id: ArtifactRef | str) -> bytes:
    async with store.open(ref_or_id) as reader:
        return await reader.read()


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file())


def path_of(ref: ArtifactRef) -> Path:
    return Path(unquote(ref.uri.removeprefix("file://")))
