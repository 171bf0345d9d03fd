"""Append-only journals outside the database: what was acknowledged, executed, and done to the processes.

Rule 1: an entry is one write to a file opened with O_APPEND, so that processes never mix theirs.
Rule 2: it begins and ends a line, so that one that a kill has torn spoils no other.
`at` is nanoseconds of the monotonic clock, one for all processes of the machine; `wall` microseconds since
1970, as in the database.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXECUTIONS, STARTS, FAULTS = "executions.jsonl", "starts.jsonl", "faults.jsonl"
REMOVALS, BACKUPS, READS = "removals.jsonl", "backups.jsonl", "reads.jsonl"
"""Runs that may be missing; what was found in backups, and by a process that reads."""


class Journal:
    """Where one process writes."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, what: str, **facts: Any) -> None:
        entry = {
            "what": what,
            "pid": os.getpid(),
            "at": time.monotonic_ns(),
            "wall": time.time_ns() // 1000,
        } | facts
        os.write(self._handle, f"\n{json.dumps(entry)}\n".encode())

    def close(self) -> None:
        os.close(self._handle)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The entries, in the order in which they were written; of a torn one {"what": "torn"}."""
    if not path.exists():
        return
    for line in path.read_text(errors="replace").splitlines():
        if not line.strip():
            continue
        try:
            yield json.loads(line)
        except json.JSONDecodeError:
            yield {"what": "torn", "text": line}
