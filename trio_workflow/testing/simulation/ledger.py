"""Whether the database holds what the oracle expects, row by row."""

import json
import sqlite3
from collections.abc import Iterable, Iterator

from trio_workflow.testing.simulation.expected import CANCELED, PENDING, READY, ExpectedRun, ExpectedStep
from trio_workflow.testing.simulation.oracle import Oracle

_STEPS = """
SELECT s.id, s.step_key, s.status, s.attempt, s.charged, s.lost, s.token, s.expires_at, s.unmet, s.ready_at,
  s.canceled_by, r.data, r.emitted, c.data AS saved,
  (SELECT count(*) FROM records x WHERE x.step_key = s.step_key) AS records,
  (SELECT json_group_object(name, sha256) FROM artifacts a WHERE a.step_key = s.step_key) AS artifacts,
  (SELECT json_group_array(outcome) FROM (SELECT outcome FROM attempts t WHERE t.step_key = s.step_key
    ORDER BY number)) AS ends
FROM steps s LEFT JOIN results r USING (step_key) LEFT JOIN checkpoints c USING (step_key) WHERE s.run_key = ?
"""


def differences(conn: sqlite3.Connection, oracle: Oracle, run_ids: Iterable[str]) -> Iterator[str]:
    """Each is a sentence: where, what is stored, what was expected."""
    for run_id in sorted(run_ids):
        row = conn.execute("SELECT run_key, status FROM runs WHERE id = ?", (run_id,)).fetchone()
        run = oracle.runs.get(run_id)
        if row is None or run is None:
            if (row is None) is not (run is None):
                yield f"run {run_id} is {'not stored' if row is None else 'stored'}, against expectation"
            continue
        if row[1] != run.status:
            yield f"run {run_id} is {row[1]}, expected {run.status}"
        yield from _steps(conn, row[0], run)


def _steps(conn: sqlite3.Connection, run_key: int, run: ExpectedRun) -> Iterator[str]:
    rows = {row["id"]: row for row in conn.execute(_STEPS, (run_key,))}
    if rows.keys() != run.steps.keys():
        yield f"run {run.id} has steps {sorted(rows)}, expected {sorted(run.steps)}"
        return
    for step_id, step in run.steps.items():
        row = rows[step_id]
        for column, wanted in _wanted(step).items():
            found = row[column]
            if column in _JSON and found is not None:
                found = json.loads(found)
            if found != wanted:
                yield f"step {step.name} ({row['status']}) has {column} {found!r}, expected {wanted!r}"
        if step.status is CANCELED and not run.is_canceled and row["canceled_by"] not in run.causes_of(step):
            yield f"step {step.name} names {row['canceled_by']!r} as its cause"


_JSON = ("ends", "artifacts", "emitted")


def _wanted(step: ExpectedStep) -> dict[str, object]:
    has_result = step.data is not None and (step.data != "null" or step.emitted)
    wanted: dict[str, object] = {
        "status": step.status.value,
        "attempt": step.attempt,
        "charged": step.charged,
        "lost": step.lost,
        "token": step.token,
        "expires_at": step.expires_at if step.token is not None else None,
        "data": step.data if has_result else None,
        "emitted": step.emitted if has_result else None,
        "saved": step.saved,
        "records": step.records,
        "artifacts": step.artifacts,
        "ends": [None if end is None else end.value for end in step.ends],
    }
    if step.status is PENDING:
        wanted["unmet"] = step.unmet
    if step.status is READY:
        wanted["ready_at"] = step.ready_at
    return wanted
