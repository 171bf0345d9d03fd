"""Folders: making them where others remove them meanwhile, and flushing their entries to disk."""

import os
from contextlib import suppress
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a folder and those above it. It may be gone again when this returns."""
    with suppress(FileExistsError):
        folder.mkdir(parents=True)


def sync_folder(folder: Path) -> None:
    """Make the names in the folder survive a power failure."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
