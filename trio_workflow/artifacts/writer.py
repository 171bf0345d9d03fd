"""Writing an artifact: a temporary file that becomes the artifact whole, or disappears.

Rule 1: a name outside tmp/ is given only to bytes that are on disk.
Rule 2: latest.json names bytes whose own names are on disk.
Rule 3: names below a shard change only while the shard is locked.

Nothing here is async; each method is one blocking call.
"""

import hashlib
import json
import os
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import attrs

from trio_workflow.artifacts.folders import locked, sync_folder
from trio_workflow.artifacts.layout import Layout, Place
from trio_workflow.model.artifact import ArtifactObject, ArtifactRef

_LEFTOVER_AGE = 24 * 60 * 60.0


class PartFile:
    """A file in tmp/ that takes the bytes of one artifact, and hashes them."""

    def __init__(self, layout: Layout) -> None:
        layout.tmp.mkdir(parents=True, exist_ok=True)
        self._layout = layout
        self._path = layout.tmp / f"{uuid.uuid4().hex}.part"
        self._sidecar = self._path.with_suffix(".sidecar")
        self._latest = self._path.with_suffix(".latest")
        self._file = open(self._path, "xb")  # noqa: SIM115 - open until commit or discard
        self._hash = hashlib.sha256()
        self._size = 0

    def write(self, piece: bytes) -> None:
        """Append a piece."""
        self._file.write(piece)
        self._hash.update(piece)
        self._size += len(piece)

    def commit(self, obj: ArtifactObject) -> ArtifactRef:
        """Make what was written the last put of the object's id, and answer the reference to it."""
        _sync_and_close(self._file)
        place = self._layout.place(obj.id)
        ref = self._reference(obj, place)
        for path in (self._sidecar, self._latest):
            _write_record(path, ref)
        with locked(place.shard, create=True):
            self._move_into(place, ref.sha256)
        return ref

    def discard(self) -> None:
        """Leave nothing of it behind."""
        with suppress(OSError):  # what is still buffered may not fit on the disk
            self._file.close()
        for path in (self._path, self._sidecar, self._latest):
            path.unlink(missing_ok=True)

    def _move_into(self, place: Place, sha256: str) -> None:
        place.folder.mkdir(exist_ok=True)
        self._path.replace(place.data(sha256))
        self._sidecar.replace(place.sidecar(sha256))
        sync_folder(place.folder)
        self._latest.replace(place.latest)
        for folder in (place.folder, place.shard, self._layout.root):
            sync_folder(folder)

    def _reference(self, obj: ArtifactObject, place: Place) -> ArtifactRef:
        sha256 = self._hash.hexdigest()
        return ArtifactRef(
            id=obj.id,
            uri=place.data(sha256).as_uri(),
            name=obj.name,
            kind=obj.kind,
            content_type=obj.content_type,
            metadata=dict(obj.metadata),
            size=self._size,
            sha256=sha256,
        )


def remove_leftovers(layout: Layout) -> None:
    """Remove what killed writers left in tmp/: what nobody has written to for a day. Errors are ignored."""
    oldest = time.time() - _LEFTOVER_AGE
    with suppress(OSError):
        for entry in os.scandir(layout.tmp):
            with suppress(OSError):
                if entry.stat().st_mtime < oldest:
                    os.unlink(entry.path)


def _write_record(path: Path, ref: ArtifactRef) -> None:
    record = attrs.asdict(ref, filter=attrs.filters.exclude("uri"))
    with open(path, "x", encoding="utf-8") as file:
        json.dump(record, file, sort_keys=True)
        _sync_and_close(file)


def _sync_and_close(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()
