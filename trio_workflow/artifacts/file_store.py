"""FileArtifactStore: artifacts as files in a folder. See layout.py for the files, writer.py for the rules."""

import os
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import trio

from trio_workflow.artifacts.bodies import check_body, copy_body
from trio_workflow.artifacts.layout import Layout, Place, check_life, stem_of
from trio_workflow.artifacts.reader import FileReader, open_reader, read_latest
from trio_workflow.artifacts.writer import PartFile, remove_leftovers
from trio_workflow.durable_folders import ensure_folder
from trio_workflow.errors import ConfigError, StoreError, StoreUnavailableError
from trio_workflow.exhaustion import exhausted
from trio_workflow.model.artifact import ArtifactObject, ArtifactRef
from trio_workflow.offload import Offload
from trio_workflow.points import POINTS, Point
from trio_workflow.single_run import SingleRun

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_THREADS = 8


class FileArtifactStore:
    """Keeps artifacts as files under root, which is made when it is missing. Needs a POSIX file system.

    Bytes are streamed in and out, in constant memory. Several processes may use one root at once.
    Raises ConfigError for an empty root.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        if not root or not os.fspath(root).strip():
            raise ConfigError("artifact store root is required")
        # Where the root is now: a link that leads elsewhere later would lead away from what was stored.
        self._layout = Layout(Path(os.path.realpath(root)))
        self._offload = Offload(trio.CapacityLimiter(_THREADS))
        self._run = SingleRun(self)
        self._swept = False

    def __repr__(self) -> str:
        return f"FileArtifactStore({str(self._layout.root)!r})"

    async def put(self, obj: ArtifactObject, /) -> ArtifactRef:
        """Keep the body, whole or not at all, and answer what names it. It survives power loss from then on.

        Raises TypeError for a body, or a chunk of one, that is not bytes (text included), and what reading
        the body raises, FileNotFoundError among it; StoreUnavailableError when the disk is full or no file
        descriptor is free; OptionError for a life that cannot be part of a file name. It leaves nothing
        behind then, nor cancelled.
        """
        self._run.check()
        check_body(obj.body)
        check_life(obj.life)
        part = await self._call(self._begin)

        async def write(piece: bytes) -> None:
            await self._call(part.write, piece)

        try:
            await copy_body(obj.body, write, self._offload)
            return await self._call(part.commit, obj)
        except BaseException:
            await self._offload.run_cleanup(part.discard)
            raise

    @asynccontextmanager
    async def open(self, ref_or_id: ArtifactRef | str, /) -> AsyncGenerator[FileReader, None]:
        """Read exact bytes (a ref), or those of the last put (an id).

        Raises ArtifactNotFoundError when they are not there, StoreError when their size is wrong. Their
        SHA-256 is checked by reading to the end. Bytes that are deleted meanwhile can be read on.
        """
        self._run.check()
        reader = await self._call(open_reader, self._layout, ref_or_id, self._offload)
        try:
            yield reader
        finally:
            reader.close()

    async def delete(self, ref_or_id: ArtifactRef | str, /) -> None:
        """Remove exact bytes (a ref), or all that was put under an id. Quiet about what is not there.

        When the ref's bytes were the last put, the id names nothing afterwards, not the put before; nor
        perhaps when another put of the id is under way at that moment. Refs are exact all the same.
        """
        self._run.check()
        await self._call(remove, self._layout, ref_or_id)

    async def _call(self, fn: Callable[[*Ts], T], *args: *Ts) -> T:
        """Call it in a thread. It works on our disk: the body's own may be another disk."""
        try:
            return await self._offload.run(fn, *args)
        except OSError as error:
            reason = exhausted(error)
            if reason is None:
                raise
            raise StoreUnavailableError(
                f"artifact store {self._layout.root} cannot be used now: {reason} ({error})"
            ) from error

    def _begin(self) -> PartFile:
        if not self._swept:
            ensure_folder(self._layout.root)
            remove_leftovers(self._layout)
            self._swept = True
        return PartFile(self._layout)


def remove(layout: Layout, ref_or_id: ArtifactRef | str) -> None:
    """Remove the files of a ref, or all of an id. A blocking call."""
    POINTS.reach(Point.REMOVE)
    place = layout.place(ref_or_id if isinstance(ref_or_id, str) else ref_or_id.id)
    with suppress(FileNotFoundError):
        if isinstance(ref_or_id, str):
            _remove_all(place)
        else:
            _remove_exact(place, ref_or_id)
    # Folders that still hold something stay.
    with suppress(OSError):
        place.folder.rmdir()
        place.shard.rmdir()


def _remove_all(place: Place) -> None:
    # The pointer goes first: it must not name bytes that are gone.
    place.latest.unlink(missing_ok=True)
    for name in os.listdir(place.folder):
        if place.owns(name):
            place.folder.joinpath(name).unlink(missing_ok=True)


def _remove_exact(place: Place, ref: ArtifactRef) -> None:
    stem = stem_of(ref)
    if stem is None:
        return
    if _names(place, ref):
        place.latest.unlink(missing_ok=True)
    for path in (place.sidecar(stem), place.data(stem)):
        path.unlink(missing_ok=True)


def _names(place: Place, ref: ArtifactRef) -> bool:
    """Whether the id names these bytes. A pointer that cannot be read names none, and stays for a look."""
    try:
        latest = read_latest(place, ref.id)
    except StoreError:
        return False
    return latest is not None and stem_of(latest) == stem_of(ref)
