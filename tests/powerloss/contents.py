"""The bytes that a loss of power may leave in a file.

Rule: what the last fsync covers is there; of each later write all, none or any of its sectors; of each later
cut all or nothing. A write that extends the file may have made it longer without its data; then those bytes
are zeros.
"""

from .chance import Chance
from .events import Cut, Sync, Write
from .pending import Pending

SECTOR = 512


class FileContent:
    """One file, whatever its names are."""

    def __init__(self) -> None:
        self._durable = bytearray()
        self._pending: Pending[Write | Cut] = Pending(lambda change: _apply(self._durable, change))
        self.size = 0
        """Bytes that a program sees, whatever has reached the disk."""

    def add(self, change: Write | Cut) -> None:
        self._pending.add(change)
        if isinstance(change, Cut):
            self.size = change.size
        else:
            self.size = max(self.size, change.offset + len(change.data))

    def cover(self, sync: Sync) -> None:
        self._pending.cover(sync)

    def draw(self, chance: Chance) -> bytes:
        """One content that the file may have after a loss of power."""
        content = bytearray(self._durable)
        for change, is_covered in self._pending:
            if is_covered:
                _apply(content, change)
            elif chance.is_kept():
                if isinstance(change, Write) and chance.is_torn():
                    _tear(content, change, chance)
                else:
                    _apply(content, change)
        return bytes(content)


def _apply(content: bytearray, change: Write | Cut) -> None:
    if isinstance(change, Cut):
        _extend(content, change.size)
        del content[change.size :]
    else:
        _put(content, change.offset, change.data)


def _put(content: bytearray, offset: int, data: bytes) -> None:
    _extend(content, offset)
    content[offset : offset + len(data)] = data


def _extend(content: bytearray, size: int) -> None:
    content.extend(bytes(max(0, size - len(content))))


def _tear(content: bytearray, write: Write, chance: Chance) -> None:
    """Some sectors of a write, and perhaps the length that the file has with all of them."""
    end = write.offset + len(write.data)
    if end > len(content) and chance.is_kept():
        _extend(content, end)
    at = write.offset
    while at < end:
        following = min(end, (at // SECTOR + 1) * SECTOR)
        if chance.is_kept():
            _put(content, at, write.data[at - write.offset : following - write.offset])
        at = following
