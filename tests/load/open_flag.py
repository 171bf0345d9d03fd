"""Whether a process has its runtime open: a counter in a file, odd from after opening until before closing.

The child writes it and the parent reads it. Between two readings of one odd number the runtime was open all
the time.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

FOLDER = "flags"


def flag_path(root: Path, pid: int) -> Path:
    return root / FOLDER / str(pid)


class OpenFlag:
    """The child's end. Another opening of the same process counts on."""

    def __init__(self, root: Path) -> None:
        self._handle = os.open(flag_path(root, os.getpid()), os.O_WRONLY | os.O_CREAT, 0o600)
        self._count = 0

    @contextmanager
    def raised(self) -> Generator[None]:
        """Enter after the runtime was opened, leave before it is closed."""
        self._step()
        try:
            yield
        finally:
            self._step()

    def close(self) -> None:
        os.close(self._handle)

    def _step(self) -> None:
        self._count += 1
        os.pwrite(self._handle, self._count.to_bytes(8, "big"), 0)


def read_flag(root: Path, pid: int) -> int:
    """The count; 0 before the process has opened anything."""
    path = flag_path(root, pid)
    return int.from_bytes(path.read_bytes()[:8], "big") if path.exists() else 0


def is_open(count: int) -> bool:
    return count % 2 == 1
