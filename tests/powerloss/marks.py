"""What the workload writes about itself into the trace: one line before and one after each operation.

A line is in the trace where it was written: what returned before it was acknowledged by then.
"""

import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


class Marks:
    """Appends to the file, which several processes may do at once."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def begin(self, operation: str, *runs: str) -> None:
        """From here on the operation may be in the store. Of several begins the first one counts."""
        self._write("begin", operation, runs)

    def done(self, operation: str, *runs: str) -> None:
        """The operation was acknowledged."""
        self._write("done", operation, runs)

    @contextmanager
    def operation(self, operation: str, *runs: str) -> Generator[None]:
        self.begin(operation, *runs)
        yield
        self.done(operation, *runs)

    def close(self) -> None:
        os.close(self._file)

    def _write(self, mark: str, operation: str, runs: tuple[str, ...]) -> None:
        line = {"mark": mark, "operation": operation, "runs": runs}
        os.write(self._file, json.dumps(line).encode() + b"\n")
