"""Which locks the kernel says that processes hold on the database (/proc/locks).

SQLite holds a read lock on the shared range of the database file from a connection's first read until the
last connection of the process is closed, in WAL mode also between transactions, and one on a byte of the
`-shm`. A process that has a runtime open and lacks one of them has dropped it.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs

LOCKS = Path("/proc/locks")
SHARED_FIRST, SHARED_LAST = 1073741826, 1073742335
SHM_BYTE = 128


@attrs.frozen
class Lock:
    """A range of bytes of a file that a process has locked. last: 2**63 for the end of the file."""

    pid: int
    inode: int
    first: int
    last: int


def parse_locks(text: str) -> Iterator[Lock]:
    for line in text.splitlines():
        words = line.split()
        if len(words) != 8 or words[1] != "POSIX":  # a waiting lock has an arrow before its type
            continue
        pid, inode = int(words[4]), int(words[5].rpartition(":")[2])
        last = 2**63 if words[7] == "EOF" else int(words[7])
        yield Lock(pid, inode, int(words[6]), last)


def held_locks() -> list[Lock]:
    return list(parse_locks(LOCKS.read_text()))


def lacking(locks: list[Lock], pid: int, database: Path) -> set[str]:
    """The files on which that process lacks the lock that it must hold, if the list is complete."""
    wanted = [
        (database, SHARED_FIRST, SHARED_LAST),
        (database.with_name(f"{database.name}-shm"), SHM_BYTE, SHM_BYTE),
    ]
    return {path.name for path, first, last in wanted if not _is_held(locks, pid, path, first, last)}


def _is_held(locks: list[Lock], pid: int, path: Path, first: int, last: int) -> bool:
    try:
        inode = path.stat().st_ino
    except FileNotFoundError:
        return False
    own = [lock for lock in locks if (lock.pid, lock.inode) == (pid, inode)]
    return any(lock.first <= first <= last <= lock.last for lock in own)


def can_observe() -> bool:
    """Whether a lock of this process is seen there: some containers hide them."""
    with tempfile.NamedTemporaryFile() as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 1, 0)
        inode = os.fstat(file.fileno()).st_ino
        try:
            return any((lock.pid, lock.inode) == (os.getpid(), inode) for lock in held_locks())
        except (OSError, ValueError):
            return False
