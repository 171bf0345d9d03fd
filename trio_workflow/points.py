"""Named points of the engine where a simulation looks on, or steps in with a fault.

In production nobody looks, and a point is one call that does nothing. A look that raises fails the engine at
that very place, as a full disk would; at COMMITTED and after, where nothing can be undone, it must not.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import StrEnum
from typing import Protocol

import trio


class Point(StrEnum):
    """What a look is told beside the point stands in brackets."""

    CALL = "call"  # a blocking call is about to be made, inline [its function]
    ANSWER = "answer"  # it was made, and its answer has not reached the caller [its function]
    LOCK = "lock"  # the write lock is about to be taken [the path]
    BEGIN = "begin"  # the write lock is held [the transaction]
    VERB = "verb"  # a verb has been carried out, not committed [the transaction, the verb, its answer]
    COMMIT = "commit"  # every verb has been, and COMMIT is next [the transaction]
    COMMITTED = "committed"  # the batch is committed, and nobody knows it yet [its entries, the transaction]
    TAKEN_BACK = "taken_back"  # a transaction was rolled back [the transaction]
    LOG = "log"  # the write-ahead log is about to be copied into the file
    LEFT = "left"  # a call was cancelled while it stood in line
    TOO_LATE = "too_late"  # one was cancelled while its batch was under way
    GAVE_UP = "gave_up"  # one that led was cancelled, before its own call was made
    START = "start"  # an executor is about to run [the holding]
    END = "end"  # an attempt has ended, its executor run or not [the holding, how it ended]
    BYTES = "bytes"  # an artifact's bytes are stored, and no row names them
    REMOVE = "remove"  # an artifact's bytes are about to be removed


Look = Callable[..., None]


class Onlooker(Protocol):
    """Who looks on at points. `wait` is reached only in virtual time, shielded from cancellation."""

    def look(self, point: Point, *about: object) -> None: ...
    async def wait(self, point: Point, about: object) -> None: ...


class Points:
    """The points of all runtimes in this process."""

    def __init__(self) -> None:
        self.reach: Look = _nobody_looks
        self._onlooker: Onlooker | None = None

    async def wait(self, point: Point, about: object) -> None:
        """A point that may take time."""
        if self._onlooker is not None:
            with trio.CancelScope(shield=True):
                await self._onlooker.wait(point, about)

    @contextmanager
    def watched_by(self, onlooker: Onlooker) -> Generator[None]:
        """Within the block `onlooker` looks on."""
        before = self.reach, self._onlooker
        self.reach, self._onlooker = onlooker.look, onlooker
        try:
            yield
        finally:
            self.reach, self._onlooker = before


def _nobody_looks(point: Point, *about: object) -> None:
    pass


POINTS = Points()
