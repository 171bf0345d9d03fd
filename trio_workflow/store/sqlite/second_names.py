"""A database has one name: SQLite keeps the log beside the name that it was opened by.

Processes that open one database by two names have two logs, and none sees what is in the other: commits are
lost and the file is damaged (sqlite.org/howtocorrupt.html, 2.5). Two names come from a hard link, and from a
mount of the file itself in place of its folder, as containers allow it.
"""

import os
import re
from contextlib import suppress

from trio_workflow.errors import StoreError
from trio_workflow.sqlite.file_identity import FileIdentity

_MOUNTS = "/proc/self/mountinfo"
_MOUNT_POINT = 4  # its column there
_ESCAPED = re.compile(rb"\\([0-7]{3})")


def refuse_second_names(path: str) -> None:
    """Raise StoreError for a file that has, or may have, another name. Raises OSError."""
    if os.stat(path).st_nlink > 1:
        _remove_drafts(path)
    if os.stat(path).st_nlink > 1:
        raise StoreError(
            f"workflow store {path} has a second name (a hard link): whoever opens the database by that name "
            f"has another log. Remove the other name: find DIRECTORY -samefile {path}"
        )
    if os.fsencode(path) in _mount_points():
        raise StoreError(
            f"workflow store {path} is mounted as a single file, and its log would not be where other "
            "processes have it: mount its folder instead"
        )


def _remove_drafts(path: str) -> None:
    """A starter that was killed, or is not done yet, leaves the draft that it has linked to the path."""
    folder, name = os.path.split(path)
    file = FileIdentity.of(path)
    for entry in os.listdir(folder):
        if entry.startswith(f".{name}.") and entry.endswith(".new"):
            draft = os.path.join(folder, entry)
            with suppress(FileNotFoundError):
                if FileIdentity.of(draft) == file:
                    os.unlink(draft)


def _mount_points() -> set[bytes]:
    """None where the system does not list them."""
    try:
        with open(_MOUNTS, "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return set()
    columns = (line.split(b" ") for line in lines)
    return {_plain(found[_MOUNT_POINT]) for found in columns if len(found) > _MOUNT_POINT}


def _plain(text: bytes) -> bytes:
    """Blanks and backslashes stand there in octal."""
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), text)
