"""What the system has run out of for now: disk, file descriptors, threads. Trying again later may succeed."""

import errno
import os

_MESSAGES = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk is full: the quota is used up",
    errno.EMFILE: "no file descriptor is free in this process",
    errno.ENFILE: "no file descriptor is free in this system",
}


def exhausted(error: OSError) -> str | None:
    """A sentence about what is used up; None for an error of another kind."""
    return None if error.errno is None else _MESSAGES.get(error.errno)


def out_of_descriptors() -> str | None:
    """A sentence if this process can open no file now, else None. SQLite's errors do not say it."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return exhausted(error)
    return None
