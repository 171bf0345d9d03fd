"""What a recorded program did to the disk, in the order of the trace.

begin and end are positions in the trace. An event was issued at begin and had returned at end; end is None if
the trace ends before. Files and folders are known by a number of their own (an inode): names come and go.
"""

from typing import Any

import attrs

ROOT = 0
"""The inode of the folder that everything happens in. It is there before the program starts."""


@attrs.frozen(kw_only=True)
class Event:
    begin: int
    end: int | None

    def is_over_before(self, position: int) -> bool:
        """Whether it had returned before that position of the trace."""
        return self.end is not None and self.end < position


@attrs.frozen(kw_only=True)
class Write(Event):
    """data was written to the file from offset on."""

    inode: int
    offset: int
    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")


@attrs.frozen(kw_only=True)
class Cut(Event):
    """The file was cut, or extended with zeros, to size bytes. before: the size that a program saw before."""

    inode: int
    size: int
    before: int


@attrs.frozen(kw_only=True)
class Sync(Event):
    """fsync or fdatasync of a file or a folder: it covers what had returned before it was issued."""

    inode: int


@attrs.frozen
class Entry:
    """A directory entry from now on: name in folder leads to inode, or to nothing."""

    folder: int
    name: str
    inode: int | None


@attrs.frozen(kw_only=True)
class Names(Event):
    """One call's changes of directory entries: open with O_CREAT, link, rename, unlink, mkdir, rmdir."""

    entries: tuple[Entry, ...]


@attrs.frozen(kw_only=True)
class Mark(Event):
    """A line that the program wrote about itself: what it begins, and what was acknowledged to it."""

    line: dict[str, Any]


@attrs.frozen
class Recording:
    """events: by begin. folders: the inodes that are folders. paths: the first path of each, for people."""

    events: tuple[Event, ...]
    folders: frozenset[int]
    paths: dict[int, str]

    @property
    def marks(self) -> list[Mark]:
        return [event for event in self.events if isinstance(event, Mark)]
