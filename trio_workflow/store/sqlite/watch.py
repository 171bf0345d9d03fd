"""Whether the path still leads to the database that was opened, and what an error of SQLite on it means.

Rule: only what is certain ends an engine. In WAL mode the file lags behind its log by design, so its size
proves nothing by itself; and an error of a stat other than "not found" says that the store is unavailable for
now, not that it is gone.
"""

import os
import sqlite3
from contextlib import closing, suppress

import attrs

from trio_workflow.errors import StoreError, StoreLostError, StoreUnavailableError
from trio_workflow.sqlite.connect import connect
from trio_workflow.sqlite.file_identity import FileIdentity
from trio_workflow.sqlite.wal_frames import lacks_pages
from trio_workflow.store.sqlite.faults import explain, may_be_a_newer_schema
from trio_workflow.store.sqlite.migrations import check_version, schema_version


@attrs.frozen
class _Files:
    """The database, its log and the index of its log, as the engine's connections have them open.

    SQLite removes the last two only when the last connection is closed, and makes new ones when the first is
    opened: while we have it open, others under these names mean that what we commit has no name any more.
    """

    database: FileIdentity | None
    log: FileIdentity | None
    index: FileIdentity | None

    @classmethod
    def of(cls, path: str) -> "_Files":
        return cls(*(FileIdentity.or_none(f"{path}{suffix}") for suffix in ("", "-wal", "-shm")))


class Watch:
    """Whether the database was found deleted, replaced or damaged, by whoever looked: a read or a write.

    From then on nothing is written to it. Made after the engine's connection has read the file for the first
    time. Any thread may look, note or ask. error: what was found first.
    """

    def __init__(self, path: str) -> None:
        self._path, self._files = path, _Files.of(path)
        self._size = os.stat(path).st_size
        self.error: StoreLostError | None = None

    def note(self, error: Exception) -> None:
        if isinstance(error, StoreLostError) and self.error is None:
            self.error = error

    def refuse(self) -> None:
        """Raise StoreLostError if the database was found lost before."""
        if self.error is not None:
            raise StoreLostError(str(self.error)) from self.error

    def look(self) -> None:
        """Note and raise StoreLostError if the path leads to nothing, another file, or a rest of ours.

        Raises StoreUnavailableError when that cannot be found out now.
        """
        try:
            harm = self._harm()
        except (OSError, sqlite3.Error) as error:
            raise StoreUnavailableError(
                f"workflow store {self._path} cannot be inspected now: {error}"
            ) from error
        if harm is not None:
            lost = StoreLostError(f"workflow store {self._path} {harm} while the runtime was using it")
            self.note(lost)
            raise lost

    def _harm(self) -> str | None:
        try:
            database = os.stat(self._path)
        except (FileNotFoundError, NotADirectoryError):
            return "was deleted"
        if FileIdentity.from_stat(database) != self._files.database:
            return "was replaced by another file"
        for suffix, file in (("-wal", self._files.log), ("-shm", self._files.index)):
            found = FileIdentity.or_none(f"{self._path}{suffix}")
            if found != file:
                what = "removed" if found is None else "replaced by another file"
                return f"lost its write-ahead log ({self._path}{suffix} was {what})"
        # Compared with the size that some thread saw last: that only decides whether SQLite is asked.
        if database.st_size < self._size and lacks_pages(self._path):
            return "was truncated"
        self._size = database.st_size
        return None

    def explain(self, error: sqlite3.Error) -> StoreError:
        """The error to raise in place of SQLite's, noted; raise it `from` that one.

        What became of the file says more than what SQLite met because of it.
        """
        try:
            self.look()
            if may_be_a_newer_schema(error):
                self._check_version()
        except (StoreLostError, StoreUnavailableError) as found:
            self.note(found)
            return found
        fault = explain(error, self._path)
        self.note(fault)
        return fault

    def _check_version(self) -> None:
        with suppress(sqlite3.Error), closing(connect(self._path, mode="ro", timeout=1.0)) as conn:
            check_version(self._path, schema_version(conn))
