"""Reading an artifact whose bytes stand in the database."""

from collections.abc import AsyncIterator

import trio

from trio_workflow.model.artifact import ArtifactRef

CHUNK = 1024**2


class InlineReader:
    def __init__(self, ref: ArtifactRef, body: bytes) -> None:
        self.ref = ref
        self._rest = memoryview(body)

    async def read(self) -> bytes:
        """All bytes that are still to come."""
        await trio.lowlevel.checkpoint()
        rest, self._rest = self._rest, self._rest[:0]
        return bytes(rest)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._rest:
            await trio.lowlevel.checkpoint()
            chunk, self._rest = self._rest[:CHUNK], self._rest[CHUNK:]
            yield bytes(chunk)
