"""What the bytes of a database file say of it before SQLite opens it (sqlite.org/fileformat2.html, 1.3, 4.1).

A file may be shorter than its own header says and whole all the same: a checkpoint writes the first page
before it appends the last, and a process that is killed in between leaves it so. The pages the file lacks are
then in its log.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import attrs

SIZE = 100
"""Bytes of a header."""

_LOG_HEADER, _FRAME_HEADER = 32, 24
_LOCK_BYTE = 1 << 30  # the page with this byte is never written


@attrs.frozen
class FileHeader:
    """pages: how many the file should have; 0 if the header does not tell."""

    is_sqlite: bool
    application_id: int
    version: int
    page_size: int
    pages: int

    @classmethod
    def read(cls, path: str) -> "FileHeader":
        with Path(path).open("rb") as file:
            header = file.read(SIZE)
        size = _number(header, 16, 2)
        is_told = _number(header, 24) == _number(header, 92)
        return cls(
            is_sqlite=len(header) == SIZE and header.startswith(b"SQLite format 3\0"),
            application_id=_number(header, 68),
            version=_number(header, 60),
            page_size=65536 if size == 1 else size,
            pages=_number(header, 28) if is_told else 0,
        )

    @property
    def size(self) -> int:
        """Bytes that the file should have at least."""
        return max(SIZE, self.pages * self.page_size)


def _number(text: bytes, offset: int, length: int = 4) -> int:
    return int.from_bytes(text[offset : offset + length], "big")


def is_truncated(path: str) -> bool:
    """Whether the file lacks pages that are not in its log either. Others may be writing it meanwhile."""
    while True:
        size, header = os.stat(path).st_size, FileHeader.read(path)
        if size >= header.size:
            return False
        if header.page_size:
            lacking = set(range(size // header.page_size + 1, header.pages + 1))
            lacking.discard(_LOCK_BYTE // header.page_size + 1)
            if size and lacking <= set(_pages_in_log(f"{path}-wal")):
                return False
        if os.stat(path).st_size == size:  # else a checkpoint went on, and the log may have begun anew
            return True


def _pages_in_log(path: str) -> Iterator[int]:
    """The pages with a frame of the log's present generation, which has its salt."""
    if not os.path.exists(path):
        return
    with Path(path).open("rb") as file:
        header = file.read(_LOG_HEADER)
        page_size, salt = _number(header, 8), header[16:24]
        while len(frame := file.read(_FRAME_HEADER)) == _FRAME_HEADER and frame[8:16] == salt:
            yield _number(frame, 0)
            file.seek(page_size, os.SEEK_CUR)
