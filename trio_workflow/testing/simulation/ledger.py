"""Whether the database holds what the oracle expects, row by row."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping

import attrs

from trio_workflow.model.outcome import ArtifactWrite
from trio_workflow.model.times import micros
from trio_workflow.testing.simulation.expected import CANCELED, PENDING, READY, ExpectedRun, ExpectedStep
from trio_workflow.testing.simulation.oracle import Oracle

_STEPS = """
SELECT s.id, s.step_key, s.status, s.attempt, s.charged, s.lost, s.token, s.expires_at, s.unmet, s.ready_at,
  s.canceled_by, s.turn, s.kind, s.queue, s.package, s.priority, s.timeout, s.delay, s.allow_failure,
  s.dedup_key,  s.parent_id, s.metadata, s.worker_id, json_extract(s.error, '$.code') AS error,
  coalesce(i.input, 'null') AS input, r.data, r.emitted, c.data AS saved,
  (SELECT count(*) FROM records x WHERE x.step_key = s.step_key) AS records,
  (SELECT json_group_array(json_array(id, name, size, sha256, json(ref))) FROM (SELECT * FROM artifacts a
    WHERE a.step_key = s.step_key ORDER BY artifact_key)) AS artifacts,
  (SELECT json_group_array(outcome) FROM (SELECT outcome FROM attempts t WHERE t.step_key = s.step_key
    ORDER BY number)) AS ends
FROM steps s LEFT JOIN results r USING (step_key) LEFT JOIN checkpoints c USING (step_key)
LEFT JOIN step_inputs i USING (step_key) WHERE s.run_key = ?
"""


def differences(conn: sqlite3.Connection, oracle: Oracle, run_ids: Iterable[str]) -> Iterator[str]:
    """Each is a sentence: where, what is stored, what was expected."""
    for run_id in sorted(run_ids):
        row = conn.execute("SELECT run_key, status, finished_at FROM runs WHERE id = ?", (run_id,)).fetchone()
        run = oracle.runs.get(run_id)
        if row is None or run is None:
            if (row is None) is not (run is None):
                yield f"run {run_id} is {'not stored' if row is None else 'stored'}, against expectation"
            continue
        if row[1] != run.status:
            yield f"run {run_id} is {row[1]}, expected {run.status}"
        if row[2] != run.finished_at:
            yield f"run {run_id} ended at {row[2]}, expected {run.finished_at}"
        yield from _steps(conn, row[0], run, oracle)


def _steps(conn: sqlite3.Connection, run_key: int, run: ExpectedRun, oracle: Oracle) -> Iterator[str]:
    rows = {row["id"]: row for row in conn.execute(_STEPS, (run_key,))}
    if rows.keys() != run.steps.keys():
        yield f"run {run.id} has steps {sorted(rows)}, expected {sorted(run.steps)}"
        return
    for step_id, step in run.steps.items():
        row = rows[step_id]
        for column, wanted in _wanted(step, oracle.owners).items():
            found = row[column]
            if column in _JSON and found is not None:
                found = json.loads(found)
            if found != wanted:
                yield f"step {step.name} ({row['status']}) has {column} {found!r}, expected {wanted!r}"
        if step.status is CANCELED and not run.is_canceled and row["canceled_by"] not in run.causes_of(step):
            yield f"step {step.name} names {row['canceled_by']!r} as its cause"

    if oracle.has_plain_queues:
        yield from _turns(rows.values(), run)


def _turns(rows: Iterable[sqlite3.Row], run: ExpectedRun) -> Iterator[str]:
    found: dict[str, list[int]] = {}
    for row in rows:
        if row["turn"] is not None:
            found.setdefault(row["queue"], []).append(row["turn"])
    wanted = {
        queue: turns for (run_id, queue), turns in run.turns.waiting.items() if run_id == run.id and turns
    }
    for queue in found.keys() | wanted.keys():
        if sorted(found.get(queue, [])) != wanted.get(queue, []):
            yield f"run {run.id} has turns {found} in its queues, expected {wanted}"


def orphans(conn: sqlite3.Connection) -> Iterator[str]:
    """Rows of runs and steps that are not there."""
    for table in ("steps", "run_inputs", "run_metadata", "records", "artifacts", "aliases", "trash"):
        (count,) = conn.execute(
            f"SELECT count(*) FROM {table} WHERE run_key NOT IN (SELECT run_key FROM runs)"
        ).fetchone()
        if count:
            yield f"{count} in {table}"
    for table in ("step_inputs", "dependencies", "attempts", "results", "checkpoints"):
        (count,) = conn.execute(
            f"SELECT count(*) FROM {table} WHERE step_key NOT IN (SELECT step_key FROM steps)"
        ).fetchone()
        if count:
            yield f"{count} in {table}"


_JSON = ("ends", "artifacts", "emitted", "metadata")


def _artifact(write: ArtifactWrite) -> list[object]:
    ref = None if write.ref is None else attrs.asdict(write.ref)
    return [write.id, write.name, write.size, write.sha256, ref]


def _wanted(step: ExpectedStep, owners: Mapping[str, str]) -> dict[str, object]:
    has_result = step.data is not None and (step.data != "null" or step.emitted)
    wanted: dict[str, object] = {
        "status": step.status.value,
        "attempt": step.attempt,
        "charged": step.charged,
        "lost": step.lost,
        "kind": step.spec.kind,
        "queue": step.spec.queue,
        "package": step.spec.package,
        "priority": step.spec.priority,
        "timeout": None if step.spec.timeout is None else micros(step.spec.timeout),
        "delay": micros(step.spec.delay),
        "allow_failure": int(step.spec.allow_failure),
        "dedup_key": step.spec.dedup_key,
        "parent_id": step.spec.parent_id,
        "metadata": dict(step.spec.metadata),
        "input": step.spec.input,
        "error": step.error,
        "worker_id": None if step.token is None else owners[step.token].partition(".")[0],
        "token": step.token,
        "expires_at": step.expires_at if step.token is not None else None,
        "data": step.data if has_result else None,
        "emitted": step.emitted if has_result else None,
        "saved": step.saved,
        "records": step.records,
        "artifacts": [_artifact(write) for write in step.artifacts],
        "ends": [None if end is None else end.value for end in step.ends],
    }
    if step.status is PENDING:
        wanted["unmet"] = step.unmet
    if step.status is READY:
        wanted["ready_at"] = step.ready_at
    return wanted
