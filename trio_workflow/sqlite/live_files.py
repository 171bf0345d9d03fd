"""Whether a path still leads to the files that a connection has open."""

import attrs

from trio_workflow.sqlite.file_identity import FileIdentity


@attrs.frozen
class LiveFiles:
    """A database, its log and the shared index of its log, as a connection that has read them has them open.

    SQLite removes the last two only when the last connection is closed, and makes new ones when the first is
    opened. While a connection of ours is open, other files under these names mean that what we commit goes
    into files without a name.
    """

    database: FileIdentity | None
    log: FileIdentity | None
    index: FileIdentity | None

    @classmethod
    def of(cls, path: str) -> "LiveFiles":
        """Raises OSError."""
        return cls(*(FileIdentity.or_none(path + suffix) for suffix in ("", "-wal", "-shm")))

    def loss(self, path: str) -> str | None:
        """What became of them, as the end of a sentence about the path; None if they are there.

        Raises OSError, which says nothing of the files.
        """
        now = LiveFiles.of(path)
        if now == self:
            return None
        if now.database is None:
            return "was deleted"
        if now.database != self.database:
            return "was replaced by another file"
        suffix, file = ("-wal", now.log) if now.log != self.log else ("-shm", now.index)
        became = "removed" if file is None else "replaced by another file"
        return f"lost its write-ahead log ({path}{suffix} was {became})"
