"""Whether the path still leads to the database that was opened, and what an error of SQLite on it means.

Rule: only what is certain ends an engine. In WAL mode the file lags behind its log by design, so its size
proves nothing by itself; and an error of a stat other than "not found" says that the store is unavailable for
now, not that it is gone.
"""

import os
import sqlite3
from contextlib import closing

from trio_workflow.errors import StoreError, StoreLostError, StoreUnavailableError
from trio_workflow.sqlite.connect import connect
from trio_workflow.sqlite.live_files import LiveFiles
from trio_workflow.sqlite.wal_frames import lacks_pages
from trio_workflow.store.sqlite.faults import explain, may_be_a_newer_schema
from trio_workflow.store.sqlite.migrations import check_version, schema_version


class Watch:
    """Whether the database was found deleted, replaced or damaged, by whoever looked: a read or a write.

    From then on nothing is written to it. Made after the engine's connection has read the file for the first
    time. Any thread may look, note or ask. error: what was found first.
    """

    def __init__(self, path: str) -> None:
        self._path, self._files = path, LiveFiles.of(path)
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
        size = self._files.size_if_same()
        if size is not None and size >= self._size:
            self._size = size
            return
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
        loss = self._files.loss()
        if loss is not None:
            return loss
        size = os.stat(self._path).st_size
        # Compared with the size that some thread saw last: that only decides whether SQLite is asked.
        if size < self._size and lacks_pages(self._path):
            return "was truncated"
        self._size = size
        return None

    def explain(self, error: sqlite3.Error) -> StoreError:
        """The error to raise in place of SQLite's, noted; raise it `from` that one.

        What became of the file says more than what SQLite met because of it.
        """
        try:
            self.look()
        except (StoreLostError, StoreUnavailableError) as found:
            return found
        newer = self.newer_schema() if may_be_a_newer_schema(error) else None
        if newer is not None:
            return newer
        fault = explain(error, self._path)
        self.note(fault)
        return fault

    def newer_schema(self) -> StoreLostError | None:
        """The error to raise in place of any other if the file has a newer schema by now, noted."""
        try:
            with closing(connect(self._path, mode="ro", timeout=1.0)) as conn:
                check_version(self._path, schema_version(conn))
        except StoreLostError as lost:
            self.note(lost)
            return lost
        except (sqlite3.Error, OSError, StoreError):
            pass  # this says nothing of the schema
        return None
