"""Whether a path still leads to the files that a connection has open."""

import os

import attrs

from trio_workflow.sqlite.file_identity import FileIdentity


@attrs.frozen
class LiveFiles:
    """A database, its log and the shared index of its log, as a connection that has read them has them open.

    SQLite removes the last two only when the last connection is closed, and makes new ones when the first is
    opened. While a connection of ours is open, other files under these names mean that what we commit goes
    into files without a name.
    """

    path: str
    log_path: str
    index_path: str
    database: FileIdentity | None
    log: FileIdentity | None
    index: FileIdentity | None

    @classmethod
    def of(cls, path: str) -> "LiveFiles":
        """Raises OSError."""
        paths = (path, f"{path}-wal", f"{path}-shm")
        return cls(*paths, *(FileIdentity.or_none(each) for each in paths))

    def size_if_same(self) -> int | None:
        """Bytes of the database if all are the same files as before, else None. It costs three stats."""
        try:
            database = os.stat(self.path)
            is_same = (
                _is(self.database, database)
                and _is(self.log, os.stat(self.log_path))
                and _is(self.index, os.stat(self.index_path))
            )
        except OSError:
            return None
        return database.st_size if is_same else None

    def loss(self) -> str | None:
        """What became of the files, as the end of a sentence about the path; None if they are the same.

        Raises OSError, which says nothing of the files.
        """
        if self.size_if_same() is not None:
            return None
        now = LiveFiles.of(self.path)
        if now == self:
            return None
        if now.database is None:
            return "was deleted"
        if now.database != self.database:
            return "was replaced by another file"
        path, file = (self.log_path, now.log) if now.log != self.log else (self.index_path, now.index)
        became = "removed" if file is None else "replaced by another file"
        return f"lost its write-ahead log ({path} was {became})"


def _is(file: FileIdentity | None, status: os.stat_result) -> bool:
    return file is not None and file.inode == status.st_ino and file.device == status.st_dev
