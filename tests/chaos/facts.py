"""What the database and the journals say after a chaos run, as plain values for the audit."""

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import attrs

from . import journal
from .program import Site
from .removal import removed_runs


@attrs.frozen
class RunRow:
    id: str
    status: str
    order: int
    finished: int | None


@attrs.frozen
class StepRow:
    """data: the JSON text of its result."""

    run: str
    id: str
    status: str
    queue: str
    attempt: int
    data: str | None


@attrs.frozen
class AttemptRow:
    """Times are microseconds since 1970."""

    run: str
    step: str
    queue: str
    number: int
    worker: str
    started: int
    finished: int | None
    outcome: str | None


@attrs.frozen
class RecordRow:
    run: str
    step: str
    key: str
    data: str


@attrs.frozen
class ArtifactRow:
    """found_size and found_sha256: of the bytes that are there, None where there are none."""

    run: str
    step: str
    name: str
    size: int
    sha256: str
    found_size: int | None
    found_sha256: str | None


@attrs.frozen
class Execution:
    """A physical execution. begin, end: nanoseconds of the monotonic clock.

    end is also when its process was seen to have ended, if that cut it off. ended: what it noted itself, in
    microseconds since 1970; None if it was cut off.
    """

    run: str
    step: str
    attempt: int
    token: str
    pid: int
    begin: int
    end: int | None
    ended: int | None


Entry = dict[str, Any]


@attrs.frozen(kw_only=True)
class Facts:
    """complaints: what the engine's own check, SQLite and the driver found."""

    runs: dict[str, RunRow]
    steps: dict[tuple[str, str], StepRow]
    attempts: dict[tuple[str, str], list[AttemptRow]]  # by number
    records: list[RecordRow]
    artifacts: list[ArtifactRow]
    executions: dict[tuple[str, str], list[Execution]]  # by begin
    ready: frozenset[int]  # pids of workers that had their signal handlers
    torn: int
    starts: list[Entry]
    faults: list[Entry]
    errors: dict[str, str]  # role and number of a process -> what it wrote to standard error
    removed: frozenset[str]  # runs that may be missing
    backups: list[Entry]
    reads: list[Entry]
    complaints: list[str]

    def noted(self, what: str) -> list[Entry]:
        return [entry for entry in self.faults if entry["what"] == what]


def gather(site: Site, complaints: list[str]) -> Facts:
    executed = list(journal.read(site.logs / journal.EXECUTIONS))
    starts = list(journal.read(site.logs / journal.STARTS))
    faults = list(journal.read(site.logs / journal.FAULTS))
    exits = {entry["pid"]: entry["at"] for entry in faults if entry["what"] == "exit"}
    # Not read-only: to such a connection integrity_check says nothing about CHECK constraints.
    with closing(sqlite3.connect(site.database, timeout=10)) as conn:
        steps = [StepRow(*row) for row in conn.execute(_STEPS)]
        integrity = [row[0] for row in conn.execute("PRAGMA integrity_check") if row[0] != "ok"]
        return Facts(
            runs={row[0]: RunRow(*row) for row in conn.execute(_RUNS)},
            steps={(step.run, step.id): step for step in steps},
            attempts=_by_step(AttemptRow(*row) for row in conn.execute(_ATTEMPTS)),
            records=[RecordRow(*row) for row in conn.execute(_RECORDS)],
            artifacts=[_artifact(*row) for row in conn.execute(_ARTIFACTS)],
            executions=_by_step(_executions(executed, exits)),
            ready=frozenset(entry["pid"] for entry in executed if entry["what"] == "ready"),
            torn=sum(entry["what"] == "torn" for entry in [*executed, *starts, *faults]),
            starts=starts,
            faults=faults,
            errors={path.stem: path.read_text(errors="replace") for path in site.logs.glob("*.stderr")},
            removed=removed_runs(site),
            backups=list(journal.read(site.logs / journal.BACKUPS)),
            reads=list(journal.read(site.logs / journal.READS)),
            complaints=[*complaints, *(f"integrity_check: {line}" for line in integrity)],
        )


_RUNS = """
SELECT id, status, json_extract(input, '$.number'), finished_at FROM runs r
JOIN run_inputs USING (run_key) WHERE package <> 'bulk'
"""
_STEPS = """
SELECT r.id, s.id, s.status, s.queue, s.attempt, e.data
FROM steps s JOIN runs r USING (run_key) LEFT JOIN results e USING (step_key) WHERE r.package <> 'bulk'
"""
_ATTEMPTS = """
SELECT r.id, s.id, s.queue, a.number, a.worker_id, a.started_at, a.finished_at, a.outcome
FROM attempts a JOIN steps s USING (step_key) JOIN runs r USING (run_key) ORDER BY a.step_key, a.number
"""
_RECORDS = """
SELECT r.id, s.id, c.key, c.data
FROM records c JOIN steps s USING (step_key) JOIN runs r ON r.run_key = c.run_key
"""
_ARTIFACTS = """
SELECT r.id, s.id, a.name, a.size, a.sha256, a.ref, a.body
FROM artifacts a JOIN steps s USING (step_key) JOIN runs r ON r.run_key = a.run_key
"""


def _by_step(rows: Iterator[Any]) -> dict[tuple[str, str], list[Any]]:
    found: dict[tuple[str, str], list[Any]] = {}
    for row in rows:
        found.setdefault((row.run, row.step), []).append(row)
    return found


def _executions(entries: list[Entry], exits: dict[int, int]) -> Iterator[Execution]:
    """One that noted no end went on, at the longest, until its process was seen to have ended."""
    ends = {(e["pid"], e["token"]): e for e in entries if e["what"] == "end"}
    for e in entries:
        if e["what"] == "begin":
            own = ends.get((e["pid"], e["token"]))
            end, ended = (exits.get(e["pid"]), None) if own is None else (own["at"], own["wall"])
            yield Execution(e["run"], e["step"], e["attempt"], e["token"], e["pid"], e["at"], end, ended)


def _artifact(
    run: str, step: str, name: str, size: int, sha256: str, ref: str | None, body: bytes | None
) -> ArtifactRow:
    found = body if ref is None else _bytes_of(ref)
    if found is None:
        return ArtifactRow(run, step, name, size, sha256, None, None)
    return ArtifactRow(run, step, name, size, sha256, len(found), hashlib.sha256(found).hexdigest())


def _bytes_of(ref: str) -> bytes | None:
    path = Path(unquote(urlsplit(json.loads(ref)["uri"]).path))
    return path.read_bytes() if path.exists() else None
