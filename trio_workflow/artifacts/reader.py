"""Reading an artifact: finding the file, and checking the bytes against their reference."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any, BinaryIO

import trio

from trio_workflow.artifacts.bodies import PIECE
from trio_workflow.artifacts.layout import Layout, Place, check_life, stem, stem_of
from trio_workflow.errors import ArtifactNotFoundError, StoreError, WorkflowError
from trio_workflow.model.artifact import ArtifactRef
from trio_workflow.offload import Offload


def open_reader(layout: Layout, ref_or_id: ArtifactRef | str, offload: Offload) -> "FileReader":
    """Open what the reference or id names. A blocking call.

    Raises ArtifactNotFoundError, or StoreError when the file has another size than its reference says.
    """
    if isinstance(ref_or_id, str):
        ref, file = _open_latest(layout.place(ref_or_id), ref_or_id)
    else:
        ref, file = ref_or_id, _open_exact(layout, ref_or_id)
    size = os.fstat(file.fileno()).st_size
    if size != ref.size:
        file.close()
        raise StoreError(f"artifact {ref.id!r} is damaged: it has {size} bytes and should have {ref.size}")
    return FileReader(ref, file, offload)


def read_latest(place: Place, artifact_id: str) -> ArtifactRef | None:
    """The reference of the last put, None where there is none. Raises StoreError: it cannot be read."""
    try:
        text = place.latest.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        record: dict[str, Any] = json.loads(text)
        life = record.pop("life", "")
        check_life(life)
        ref = ArtifactRef(uri=place.data(stem(record["sha256"], life)).as_uri(), **record)
        if ref.id != artifact_id or stem_of(ref) is None:
            raise ValueError("it is about something else")
        return ref
    except (ValueError, TypeError, KeyError) as error:
        raise StoreError(f"artifact {artifact_id!r}: {place.latest} cannot be used: {error}") from error


def _open_exact(layout: Layout, ref: ArtifactRef) -> BinaryIO:
    name = stem_of(ref)  # a hash that is none could lead out of the root
    file = None if name is None else _open_data(layout.place(ref.id).data(name))
    if file is None:
        raise ArtifactNotFoundError(f"artifact {ref.id!r} has no bytes with SHA-256 {ref.sha256}")
    return file


def _open_latest(place: Place, artifact_id: str) -> tuple[ArtifactRef, BinaryIO]:
    """Look again while others move the id on: it names nothing only if it still names what is missing."""
    missing: ArtifactRef | None = None
    while (ref := read_latest(place, artifact_id)) != missing:
        if ref is None:
            break
        name = stem_of(ref)
        assert name is not None  # the pointer could be read
        file = _open_data(place.data(name))
        if file is not None:
            return ref, file
        missing = ref
    raise ArtifactNotFoundError(f"artifact {artifact_id!r} is not stored")


def _open_data(path: Path) -> BinaryIO | None:
    try:
        return open(path, "rb", buffering=0)
    except FileNotFoundError:
        return None


class FileReader:
    """The bytes of one artifact, from the first to the last, once.

    The last of them are handed out only after the SHA-256 of all was found right: who has read to the end
    has the bytes of the ref. Tasks may share a reader; each chunk goes to one of them.
    """

    def __init__(self, ref: ArtifactRef, file: BinaryIO, offload: Offload) -> None:
        self._ref = ref
        self._file = file
        self._offload = offload
        self._turn = trio.Lock()
        self._hash = hashlib.sha256()
        self._position = 0

    def __repr__(self) -> str:
        return f"FileReader({self._ref.id!r}, {self._position} of {self._ref.size} bytes read)"

    @property
    def ref(self) -> ArtifactRef:
        """What is being read: the ref that was given, or that of the last put."""
        return self._ref

    async def read(self) -> bytes:
        """Answer all bytes that are still to come, b"" at the end. StoreError: they are not the ref's."""
        return await self._take(-1)

    def __aiter__(self) -> "FileReader":
        return self

    async def __anext__(self) -> bytes:
        """Answer the next chunk, of at most 1 MiB. StoreError, before the last one: not the ref's bytes."""
        chunk = await self._take(PIECE)
        if not chunk:
            raise StopAsyncIteration
        return chunk

    def close(self) -> None:
        """Close the file; using the reader afterwards raises WorkflowError."""
        self._file.close()

    @trio.lowlevel.enable_ki_protection
    async def _take(self, limit: int) -> bytes:
        async with self._turn:
            return await self._offload.run(self._take_now, limit)

    def _take_now(self, limit: int) -> bytes:
        if self._file.closed:
            raise WorkflowError(f"the reader of artifact {self.ref.id!r} was used after its block")
        chunk = self._file.read(limit)
        self._hash.update(chunk)
        self._position += len(chunk)
        if self._position >= self.ref.size or not chunk:
            self._check_hash()
        return chunk

    def _check_hash(self) -> None:
        found = self._hash.hexdigest()
        if found != self.ref.sha256:
            raise StoreError(
                f"artifact {self.ref.id!r} is damaged: SHA-256 {found}, and should have {self.ref.sha256}"
            )
