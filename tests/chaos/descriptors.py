"""Taking file descriptors away from a process, and giving them back."""

import itertools
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
        """Leave the process so many that it does not use, or a few more. None if the process has ended.

        The limit is one of numbers: a new descriptor gets the lowest that is free, and what is open stays so.
        """
        try:
            used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
            lowest = next(number for number in itertools.count() if number not in used)
            soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (lowest + spare, hard))
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
