"""Folders: flushing their entries to disk, and locking one against other threads and processes."""

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the names in the folder survive a power failure."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def locked(folder: Path, *, create: bool) -> Generator[None, None, None]:
    """Hold the folder alone, over all threads and processes, and answer only while it is at its path.

    Whoever holds it may remove it. create: make it where it is missing, in a folder that is there;
    else FileNotFoundError.
    """
    fd = _open_locked(folder, create)
    try:
        yield
    finally:
        _unlock(fd)


def _open_locked(folder: Path, create: bool) -> int:
    while True:
        if create:
            # Its last owner may remove the folder at any moment: that it exists now says nothing.
            with suppress(FileExistsError):
                os.mkdir(folder)
        try:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            if create:
                continue
            raise
        _lock(fd)
        if _is_at(fd, folder):
            return fd
        _unlock(fd)


def _lock(fd: int) -> None:
    # Imported here, so that the package can be imported where there is no fcntl.
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except BaseException:
        os.close(fd)
        raise


def _unlock(fd: int) -> None:
    import fcntl

    # Explicitly: a child that was forked meanwhile has the descriptor too, and closing ours would not do.
    fcntl.flock(fd, fcntl.LOCK_UN)
    os.close(fd)


def _is_at(fd: int, folder: Path) -> bool:
    """Whether the open folder is still the one at the path: its last owner may have removed it."""
    try:
        return os.path.samestat(os.fstat(fd), folder.stat())
    except FileNotFoundError:
        return False
