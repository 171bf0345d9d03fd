"""Where each process writes its journal, and all of them in order of time."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chaos import journal
from chaos.program import Site

Entry = dict[str, Any]


def journal_path(site: Site, role: str) -> Path:
    """The journal of this process."""
    return site.logs / f"{role}-{os.getpid()}.jsonl"


def read_all(site: Site) -> list[Entry]:
    """The entries of every process but the parent's own, by their time on the monotonic clock."""
    return sorted(_entries(site), key=lambda entry: int(entry.get("at", 0)))


def _entries(site: Site) -> Iterator[Entry]:
    for path in sorted(site.logs.glob("*-*.jsonl")):
        yield from journal.read(path)


def entries_with(site: Site, word: str) -> Iterator[Entry]:
    """The entries whose text has that word: quicker than to parse all of a long run."""
    for path in sorted(site.logs.glob("*-*.jsonl")):
        with path.open(errors="replace") as lines:
            for line in lines:
                if word in line and line.endswith("}\n"):
                    yield json.loads(line)
