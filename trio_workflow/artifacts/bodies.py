"""Bodies: handing out the bytes of an artifact's body in pieces, whatever kind of body it is.

Rule: at most a piece of it, and a chunk of the user's, is in memory at a time.
"""

import os
from collections.abc import AsyncIterable, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from inspect import isasyncgen
from typing import Any, BinaryIO

from trio_workflow.errors import StoreUnavailableError
from trio_workflow.exhaustion import exhausted
from trio_workflow.model.artifact import Body
from trio_workflow.offload import Offload

PIECE = 1024 * 1024
"""Bytes that are read, hashed and written at a time."""

_BUFFERS: tuple[type[Any], ...] = (bytes, bytearray, memoryview)

Sink = Callable[[bytes], Awaitable[None]]


def check_body(body: object) -> None:
    """Raise TypeError for what cannot be a body; text is refused, for it has no bytes until it is encoded."""
    if isinstance(body, str):
        raise TypeError("an artifact body is bytes, a path or an async iterable of bytes, not str: encode it")
    if not isinstance(body, bytes | bytearray | memoryview | os.PathLike | AsyncIterable):
        raise TypeError(
            f"an artifact body is bytes, a path or an async iterable of bytes, not {type(body).__name__}"
        )


async def copy_body(body: Body, sink: Sink, offload: Offload) -> None:
    """Give every byte of the body to the sink, in order, in pieces of at most PIECE bytes."""
    if isinstance(body, bytes | bytearray | memoryview):
        await _copy_buffer(body, sink)
    elif isinstance(body, os.PathLike):
        await _copy_file(body, sink, offload)
    else:
        await _copy_chunks(body, sink)


async def _copy_buffer(body: bytes | bytearray | memoryview, sink: Sink) -> None:
    with memoryview(body) as view:
        flat = view.cast("B") if view.c_contiguous and view.nbytes else memoryview(view.tobytes())
        with flat:
            for start in range(0, len(flat), PIECE):
                # A copy: what is hashed is what is written, even if the owner changes a bytearray meanwhile.
                await sink(bytes(flat[start : start + PIECE]))


async def _copy_file(path: os.PathLike[str], sink: Sink, offload: Offload) -> None:
    source = await offload.run(_open_source, path)
    with source:
        while piece := await offload.run(source.read, PIECE):
            await sink(piece)


def _open_source(path: os.PathLike[str]) -> BinaryIO:
    try:
        return open(path, "rb", buffering=0)
    except OSError as error:
        reason = exhausted(error)
        if reason is None:
            raise
        raise StoreUnavailableError(f"the artifact body {path} cannot be opened now: {reason}") from error


async def _copy_chunks(body: AsyncIterable[bytes], sink: Sink) -> None:
    """Gather small chunks to pieces: a piece costs a hop to a thread, however small it is."""
    waiting = bytearray()
    async with closed_after(body):
        async for chunk in body:
            data = _bytes_of(chunk)
            if len(waiting) + len(data) > PIECE:
                await _copy_buffer(waiting, sink)
                waiting.clear()
            if len(data) >= PIECE:
                await _copy_buffer(data, sink)
            else:
                waiting += data
    await _copy_buffer(waiting, sink)


def closed_after(body: Any) -> AbstractAsyncContextManager[object]:
    """A generator that is left halfway must not wait for the garbage collector with its clean-up."""
    if isasyncgen(body):
        return aclosing(body)
    return nullcontext()


def _bytes_of(chunk: Any) -> bytes:
    if isinstance(chunk, _BUFFERS):
        return bytes(chunk)
    raise TypeError(f"a chunk of an artifact body is bytes, not {type(chunk).__name__}")
