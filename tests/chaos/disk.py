"""A small disk that can be filled: a tmpfs in a mount namespace of this process and its children.

The namespace is theirs alone, so that the mount is gone with the last of them, however they end.
"""

import ctypes
import errno
import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import attrs

_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_CHUNK = bytes(64 * 1024)


@attrs.frozen
class Disk:
    """folder: where it is mounted. is_small: whether it can be filled."""

    folder: Path
    is_small: bool

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"

    def fill(self) -> None:
        """Take all the room there is."""
        with self._ballast.open("ab", buffering=0) as file:
            for size in (len(_CHUNK), 4096, 1):
                _write_until_full(file.fileno(), _CHUNK[:size])

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)


def _write_until_full(handle: int, chunk: bytes) -> None:
    while True:
        try:
            os.write(handle, chunk)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                return
            raise


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Generator[Disk]:
    """A disk of that size on the folder; where none may be mounted, the folder as it is."""
    try:
        _enter_namespace()
        _mount("-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "none", str(folder))
    except OSError as error:
        print(f"NO SMALL DISK: a tmpfs cannot be mounted here ({error})")
        yield Disk(folder, is_small=False)
        return
    try:
        yield Disk(folder, is_small=True)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def _mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(done.stderr.strip() or f"mount ended with {done.returncode}")


def _enter_namespace() -> None:
    """Mounts made from here on are seen by this process and its children only."""
    user, group = os.geteuid(), os.getegid()
    flags = _CLONE_NEWNS if user == 0 else _CLONE_NEWNS | _CLONE_NEWUSER
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(flags):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    _mount("--make-rprivate", "/")
