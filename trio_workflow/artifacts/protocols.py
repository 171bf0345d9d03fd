"""What an artifact store promises, whoever writes it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from trio_workflow.model.artifact import ArtifactObject, ArtifactRef


class ArtifactReader(Protocol):
    """The bytes of one artifact, from the first to the last, once."""

    @property
    def ref(self) -> ArtifactRef:
        """What is being read."""
        ...

    async def read(self) -> bytes:
        """Answer all bytes that are still to come, b"" at the end. StoreError: they are not the ref's."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Iterate over the bytes that are still to come, in chunks of the store's choice."""
        ...


class ArtifactStore(Protocol):
    """Keeps bytes under ids. A ref names exact bytes, by their hash; an id names the last put.

    So a late put of a stale worker under the same id cannot replace what somebody holds a ref to.

    Nor may a late delete take what another has put. A run may be deleted, and its id used again: who removes
    the bytes of the first may have been stopped for any time before it calls `delete`, while the second has
    stored the same bytes under the same artifact id. So the bytes of two lives (see `ArtifactObject.life`)
    must never share a place, and a ref must say which it names: its uri may, since nobody else reads that.
    Puts of the same bytes within one life may share theirs: retries then leave less behind.
    """

    async def put(self, obj: ArtifactObject, /) -> ArtifactRef:
        """Keep the body, whole or not at all, and answer what names it. It survives power loss from then on.

        Raises TypeError for a body, or a chunk of one, that is not bytes (text included), and what reading
        the body raises, FileNotFoundError among it. The caller keeps the body's file or iterable. Raises
        StoreUnavailableError when trying again later may succeed: a step that puts bytes or a file does.
        """
        ...

    def open(self, ref_or_id: ArtifactRef | str, /) -> AbstractAsyncContextManager[ArtifactReader]:
        """Read exact bytes (a ref), or those of the last put (an id).

        Raises ArtifactNotFoundError when they are not there, StoreError when they are damaged.
        """
        ...

    async def delete(self, ref_or_id: ArtifactRef | str, /) -> None:
        """Remove exact bytes (a ref), or all that was put under an id. Quiet about what is not there."""
        ...
