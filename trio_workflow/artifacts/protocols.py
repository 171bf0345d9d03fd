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

    Nor may a late delete remove what another has put. A process that removes bytes may have been stopped for
    any time before it calls `delete`. Meanwhile the run may be deleted and its id used again, and the later
    run may have put the same bytes under the same artifact id. So bytes of two ids, or of two lives (see
    `ArtifactObject.life`), must never share a place, though the bytes be equal.

    Puts of the same bytes under one id and life may share a place: retries then leave less behind. The uri of
    a ref names the place. The engine compares uris, and calls `delete` only for a place that no committed
    artifact names; for two refs to one place it may call `delete` twice.
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
        """Remove exact bytes (a ref), or all that was put under an id. Quiet about what is not there.

        Whatever this raises stops no removal of a run: the engine logs it and tries the bytes again later.
        """
        ...
