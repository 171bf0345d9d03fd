"""Whether the path still leads to the database that was opened, and what an error of SQLite on it means."""

import os
import sqlite3

import attrs

from trio_workflow.errors import StoreError, StoreLostError
from trio_workflow.store.sqlite.faults import explain
from trio_workflow.store.sqlite.file_header import FileHeader


@attrs.frozen
class FileId:
    """Which file a path led to: another one under the same name is not ours. size: bytes it had then."""

    device: int
    inode: int
    size: int = attrs.field(eq=False)

    @classmethod
    def of(cls, path: str) -> "FileId | None":
        try:
            found = os.stat(path)
        except OSError:
            return None
        return cls(found.st_dev, found.st_ino, found.st_size)


class Watch:
    """Whether the database was found deleted, replaced or damaged, by whoever looked: a read or a write.

    From then on nothing is written to it. Any thread may look, note or ask. error: what was found first.
    """

    def __init__(self, path: str) -> None:
        self._path, self._file = path, FileId.of(path)
        self.error: StoreLostError | None = None

    def note(self, error: Exception) -> None:
        if isinstance(error, StoreLostError) and self.error is None:
            self.error = error

    def refuse(self) -> None:
        """Raise StoreLostError if the database was found lost before."""
        if self.error is not None:
            raise StoreLostError(str(self.error)) from self.error

    def look(self) -> None:
        """Note and raise StoreLostError if the path leads to nothing, another file, or a rest of ours."""
        found = FileId.of(self._path)
        what = self._harm(found)
        if what is not None:
            error = StoreLostError(f"workflow store {self._path} {what} while the runtime was using it")
            self.note(error)
            raise error
        self._file = found

    def _harm(self, found: FileId | None) -> str | None:
        if found is None:
            return "was deleted"
        if self._file is None or found != self._file:
            return "was replaced by another file"
        try:
            if found.size < self._file.size and found.size < FileHeader.read(self._path).size:
                return "was truncated"
        except FileNotFoundError:
            return "was deleted"
        return None

    def explain(self, error: sqlite3.Error) -> StoreError:
        """The error to raise in place of SQLite's, noted; raise it `from` that one.

        What became of the file says more than what SQLite met because of it.
        """
        try:
            self.look()
        except StoreLostError as lost:
            return lost
        fault = explain(error, self._path)
        self.note(fault)
        return fault
