"""Taking file descriptors away from a process, and giving them back."""

import os
import resource
from pathlib import Path

import attrs


@attrs.frozen
class Descriptors:
    """The limits of a process before some were taken."""

    pid: int
    soft: int
    hard: int

    @classmethod
    def take(cls, pid: int, spare: int) -> "Descriptors | None":
        """Leave the process so many that it does not use. None if the process has ended."""
        try:
            used = max((int(name) for name in os.listdir(f"/proc/{pid}/fd")), default=0) + 1
            soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + spare, hard))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return None
        return cls(pid, soft, hard)

    def give_back(self) -> None:
        """Quiet about a process that has ended."""
        if Path(f"/proc/{self.pid}").exists():
            try:
                resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (self.soft, self.hard))
            except ProcessLookupError:
                return
