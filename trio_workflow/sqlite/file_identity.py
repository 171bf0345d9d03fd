"""Which file a path leads to. Another file under the same name is another file."""

import os

import attrs


@attrs.frozen
class FileIdentity:
    device: int
    inode: int

    @classmethod
    def of(cls, path: str) -> "FileIdentity":
        """The identity of the file at that path, through links. Raises OSError."""
        return cls.from_stat(os.stat(path))

    @classmethod
    def from_stat(cls, status: os.stat_result) -> "FileIdentity":
        return cls(status.st_dev, status.st_ino)

    @classmethod
    def or_none(cls, path: str) -> "FileIdentity | None":
        """The same; None where the path leads to nothing. Every other OSError is raised."""
        try:
            return cls.of(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
