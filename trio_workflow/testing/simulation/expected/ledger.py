"""Whether the database holds what the oracle expects, row by row."""

import json
import sqlite3
from collections.abc import Iterable, Iterator

import attrs

from trio_workflow.model.outcome import ArtifactWrite
from trio_workflow.model.times import micros
from trio_workflow.testing.simulation.expected.oracle import Oracle
from trio_workflow.testing.simulation.expected.runs import (
    CANCELED,
    PENDING,
    READY,
    RUNNING,
    ExpectedRun,
    ExpectedStep,
)

_RUN = """
SELECT r.run_key, r.status, r.package, r.name, r.created_at, r.started_at, r.finished_at, r.metadata,
  coalesce(i.input, 'null') AS input,
  (SELECT json_group_object(m.key, m.value) FROM run_metadata m WHERE m.run_key = r.run_key) AS listed_by,
  (SELECT json_group_object(a.id, s.id) FROM aliases a JOIN steps s USING (step_key)
    WHERE a.run_key = r.run_key) AS aliases
FROM runs r LEFT JOIN run_inputs i USING (run_key) WHERE r.id = ?
"""

_STEPS = """
SELECT s.id, s.step_key, s.status, s.attempt, s.charged, s.lost, s.token, s.expires_at, s.unmet, s.ready_at,
  s.canceled_by, s.turn, s.kind, s.queue, s.package, s.priority, s.timeout, s.delay, s.allow_failure,
  s.dedup_key, s.parent_id, s.metadata, s.worker_id, s.retry, s.created_at, s.started_at, s.finished_at,
  s.acquired_at, s.progress, json_extract(s.error, '$.code') AS error,
  json_extract(s.error, '$.message') AS message, json_extract(s.error, '$.retryable') AS retryable,
  coalesce(i.depends_on, '[]') AS asked, coalesce(i.input, 'null') AS input, r.data, r.emitted,
  c.data AS saved,
  (SELECT json_group_object(n.id, d.required) FROM dependencies d JOIN steps n ON n.step_key = d.needs_key
    WHERE d.step_key = s.step_key) AS needs,
  (SELECT json_group_array(json_array(collection, key, data)) FROM (SELECT * FROM records x
    WHERE x.step_key = s.step_key ORDER BY record_key)) AS records,
  (SELECT json_group_array(json_array(id, name, kind, content_type, size, sha256,
    json(metadata), json(ref))) FROM (
    SELECT * FROM artifacts a WHERE a.step_key = s.step_key ORDER BY artifact_key)) AS artifacts,
  (SELECT json_group_array(json_array(number, worker_id, started_at, finished_at, outcome,
    json_extract(error, '$.code'))) FROM (SELECT * FROM attempts t WHERE t.step_key = s.step_key
    ORDER BY number)) AS attempts
FROM steps s LEFT JOIN results r USING (step_key) LEFT JOIN checkpoints c USING (step_key)
LEFT JOIN step_inputs i USING (step_key) WHERE s.run_key = ?
"""

_JSON = frozenset(
    {
        "listed_by",
        "aliases",
        "emitted",
        "metadata",
        "retry",
        "asked",
        "needs",
        "records",
        "artifacts",
        "attempts",
    }
)


def differences(conn: sqlite3.Connection, oracle: Oracle, run_ids: Iterable[str]) -> Iterator[str]:
    """Each is a sentence: where, what is stored, what was expected."""
    for run_id in sorted(run_ids):
        row = conn.execute(_RUN, (run_id,)).fetchone()
        run = oracle.runs.get(run_id)
        if row is None or run is None:
            if (row is None) is not (run is None):
                yield f"run {run_id} is {'not stored' if row is None else 'stored'}, against expectation"
            continue
        yield from _compared(f"run {run_id}", row, _wanted_of_run(run))
        yield from _steps(conn, row["run_key"], run, oracle)


def _compared(subject: str, row: sqlite3.Row, wanted: dict[str, object]) -> Iterator[str]:
    for column, expected in wanted.items():
        found = row[column]
        if column in _JSON and found is not None:
            found = json.loads(found)
        if found != expected:
            yield f"{subject} ({row['status']}) has {column} {found!r}, expected {expected!r}"


def _steps(conn: sqlite3.Connection, run_key: int, run: ExpectedRun, oracle: Oracle) -> Iterator[str]:
    rows = {row["id"]: row for row in conn.execute(_STEPS, (run_key,))}
    if rows.keys() != run.steps.keys():
        yield f"run {run.id} has steps {sorted(rows)}, expected {sorted(run.steps)}"
        return
    for step_id, step in run.steps.items():
        row = rows[step_id]
        yield from _compared(f"step {step.name}", row, _wanted(step))
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


_OF_RUNS = (
    "steps",
    "run_inputs",
    "run_metadata",
    "records",
    "artifacts",
    "aliases",
    "attempt_artifacts",
    "trash",
)


def orphans(conn: sqlite3.Connection) -> Iterator[str]:
    """Rows of runs and steps that are not there."""
    for table in _OF_RUNS:
        (count,) = conn.execute(
            f"SELECT count(*) FROM {table} WHERE run_key NOT IN (SELECT run_key FROM runs)"
        ).fetchone()
        if count:
            yield f"{count} in {table}"
    (removals,) = conn.execute("SELECT count(*) FROM artifact_removals").fetchone()
    if removals:
        yield f"{removals} in artifact_removals"
    for table in ("step_inputs", "dependencies", "attempts", "results", "checkpoints"):
        (count,) = conn.execute(
            f"SELECT count(*) FROM {table} WHERE step_key NOT IN (SELECT step_key FROM steps)"
        ).fetchone()
        if count:
            yield f"{count} in {table}"


def _wanted_of_run(run: ExpectedRun) -> dict[str, object]:
    spec = run.spec
    return {
        "status": run.status.value,
        "package": spec.package,
        "name": spec.name,
        "input": spec.input,
        "metadata": dict(spec.metadata),
        "listed_by": dict(spec.metadata),
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "aliases": run.aliases,
    }


def _artifact(write: ArtifactWrite) -> list[object]:
    ref = None if write.ref is None else attrs.asdict(write.ref)
    named = [write.id, write.name, write.kind, write.content_type]
    return [*named, write.size, write.sha256, dict(write.metadata), ref]


def _wanted(step: ExpectedStep) -> dict[str, object]:
    wanted = _wanted_as_asked(step) | _wanted_of_product(step)
    is_running = step.status is RUNNING
    last = step.attempts[-1] if step.attempts else None
    wanted |= {
        "status": step.status.value,
        "attempt": step.attempt,
        "charged": step.charged,
        "lost": step.lost,
        "error": step.error,
        "worker_id": last.worker if last is not None and is_running else None,
        "token": step.token,
        "acquired_at": last.started_at if last is not None and is_running else None,
        "expires_at": step.expires_at if is_running else None,
        "started_at": step.started_at,
        "finished_at": step.finished_at,
        "saved": step.saved,
        "progress": step.progress,
        "attempts": [
            [
                number,
                attempt.worker,
                attempt.started_at,
                attempt.finished_at,
                attempt.outcome and attempt.outcome.value,
                attempt.error,
            ]
            for number, attempt in enumerate(step.attempts, 1)
        ],
    }
    if step.failure is not None:
        wanted |= {"message": step.failure.message, "retryable": int(step.failure.retryable)}
    if step.status is not CANCELED:
        wanted["canceled_by"] = None
    if step.status is PENDING:
        wanted["unmet"] = step.unmet
    if step.status is READY:
        wanted["ready_at"] = step.ready_at
    return wanted


def _wanted_as_asked(step: ExpectedStep) -> dict[str, object]:
    spec, retry = step.spec, step.spec.retry
    return {
        "kind": spec.kind,
        "queue": spec.queue,
        "package": spec.package,
        "priority": spec.priority,
        "timeout": None if spec.timeout is None else micros(spec.timeout),
        "delay": micros(spec.delay),
        "allow_failure": int(spec.allow_failure),
        "dedup_key": spec.dedup_key,
        "parent_id": spec.parent_id,
        "metadata": dict(spec.metadata),
        "input": spec.input,
        "created_at": step.created_at,
        "asked": [[step_id, int(required)] for step_id, required in step.needs.items()],
        "needs": {step_id: int(required) for step_id, required in step.needs.items()},
        "retry": [
            retry.max_attempts,
            retry.backoff,
            retry.initial_backoff,
            retry.max_backoff,
            retry.multiplier,
            retry.jitter,
        ],
    }


def _wanted_of_product(step: ExpectedStep) -> dict[str, object]:
    product = step.product
    has_result = product is not None and (product.data != "null" or step.emitted)
    return {
        "data": step.data if has_result else None,
        "emitted": step.emitted if has_result else None,
        "records": [] if product is None else [[r.collection, r.key, r.data] for r in product.records],
        "artifacts": [_artifact(write) for write in step.artifacts],
    }
