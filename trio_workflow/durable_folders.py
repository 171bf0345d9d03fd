"""Folders whose names survive a loss of power.

Rule: POSIX makes the name of a new file or folder durable only when the folder that holds it is synced. So
each folder that is made is followed by a sync of the folder above it, before anything is made inside.
"""

import os
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, and sync the folder above each. It may be gone again on return."""
    try:
        folder.mkdir()
    except FileNotFoundError:
        make_folder(folder.parent)
        make_folder(folder)
        return
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    sync_folder(folder.parent)


def ensure_folder(folder: Path) -> None:
    """Make a folder as `make_folder` does; where it exists, its own name is durable on return too.

    Another process may have made it a moment ago and not have synced its name yet.
    """
    make_folder(folder)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in the folder survive a loss of power."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        os.sync()  # a folder may allow new names in it and yet no reading
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
