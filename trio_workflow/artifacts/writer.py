"""Writing an artifact: a temporary file that becomes the artifact whole, or disappears.

Rule 1: a name outside tmp/ is given only to bytes that are on disk.
Rule 2: latest.json names bytes whose own names are on disk.
Rule 3: nobody waits for anybody: a process that is stopped in the middle of a put must not hold up others.
So there is no lock, and a folder may be removed, once empty, while another is about to put something in it.
What is written keeps its name in tmp/ until all is in place, so that all can be done again.

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

from trio_workflow.artifacts.layout import Layout, Place, stem
from trio_workflow.durable_folders import make_folder as make_durable_folder
from trio_workflow.durable_folders import sync_folder
from trio_workflow.model.artifact import ArtifactObject, ArtifactRef
from trio_workflow.points import POINTS, Point

_LEFTOVER_AGE = 24 * 60 * 60.0


class PartFile:
    """A file in tmp/ that takes the bytes of one artifact, and hashes them."""

    def __init__(self, layout: Layout) -> None:
        make_durable_folder(layout.tmp)
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
            _write_record(path, ref, obj.life)
        while True:
            try:
                self._name(place, stem(ref.sha256, obj.life))
                POINTS.reach(Point.BYTES)
                break
            except FileNotFoundError:
                # Its last owner has removed the folder. Unless our own files are gone, it is made again.
                if not self._path.exists():
                    raise
        self.discard()
        return ref

    def discard(self) -> None:
        """Leave nothing of it behind."""
        with suppress(OSError):  # what is still buffered may not fit on the disk
            self._file.close()
        for path in (self._path, self._sidecar, self._latest):
            path.unlink(missing_ok=True)

    def _name(self, place: Place, stem: str) -> None:
        make_folder(place.folder)
        _also_name(self._path, place.data(stem))
        _also_name(self._sidecar, place.sidecar(stem))
        sync_folder(place.folder)
        _also_name(self._latest, place.latest)
        for folder in (place.folder, place.shard, self._layout.root):
            sync_folder(folder)

    def _reference(self, obj: ArtifactObject, place: Place) -> ArtifactRef:
        sha256 = self._hash.hexdigest()
        return ArtifactRef(
            id=obj.id,
            uri=place.data(stem(sha256, obj.life)).as_uri(),
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


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, which may be gone again on return. The caller syncs them later."""
    with suppress(FileExistsError):
        folder.mkdir(parents=True)


def _also_name(source: Path, name: Path) -> None:
    """Let `name` name what `source` does, whatever it named before, in one step."""
    link = source.with_name(f"{source.name}.link")
    os.link(source, link)
    try:
        os.replace(link, name)
    finally:
        link.unlink(missing_ok=True)  # a rename between two names of one file does nothing


def _write_record(path: Path, ref: ArtifactRef, life: str) -> None:
    record = attrs.asdict(ref, filter=attrs.filters.exclude("uri")) | ({"life": life} if life else {})
    with open(path, "x", encoding="utf-8") as file:
        json.dump(record, file, sort_keys=True)
        _sync_and_close(file)


def _sync_and_close(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())
    file.close()
