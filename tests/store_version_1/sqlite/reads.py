"""Listing and inspecting, over the read-only connections. A page's cursor is the key of its last row.

Rule: rows become records in the thread that reads them, so that a long page does not hold up the event loop.
"""

import json
import sqlite3
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, TypeVar

from trio_workflow.errors import OptionError
from trio_workflow.model.artifact import ArtifactRef
from trio_workflow.model.policy import QueueConfig
from trio_workflow.model.records import Page, QueueStatus, Record, Step, StepResult, Violation, WorkflowRun
from trio_workflow.model.status import FINAL_STEP, RunStatus, StepStatus
from trio_workflow.store.protocol import StoredArtifact
from trio_workflow.store.sqlite.check import LOOKS, Report, look_at_sound_rows
from trio_workflow.store.sqlite.connections import Readers
from trio_workflow.store.sqlite.queue_status import queue_statuses
from trio_workflow.store.sqlite.rows import (
    artifact_of,
    attempt_of,
    record_of,
    ref_of,
    run_of,
    step_of,
    to_json,
)
from trio_workflow.store.sqlite.statements import SQL

T = TypeVar("T")
NEWEST = 2**63 - 1


class SQLiteReads:
    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    async def workflow(self, run_id: str) -> WorkflowRun | None:
        return await self._readers.read(partial(_run, run_id))

    async def step(self, run_id: str, step_id: str) -> Step | None:
        return await self._readers.read(partial(_step, run_id, step_id))

    async def result(self, run_id: str, step_id: str) -> StepResult | None:
        return await self._readers.read(lambda conn: _result(conn, run_id, step_id))

    async def dependency_result(self, run_id: str, step_id: str) -> StepResult | None:
        return await self._readers.read(lambda conn: _result(conn, run_id, step_id, of_ended=True))

    async def artifact(self, run_id: str, step_id: str, name: str) -> StoredArtifact | None:
        return await self._readers.read(lambda conn: _artifact(conn, run_id, step_id, name))

    async def run_states(self, run_ids: Collection[str]) -> Mapping[str, RunStatus]:
        return await self._readers.read(partial(_run_states, list(run_ids)))

    async def runs(
        self,
        *,
        package: str | None,
        status: RunStatus | None,
        metadata: Mapping[str, str] | None,
        limit: int,
        after: str | None,
    ) -> Page[WorkflowRun]:
        params: dict[str, Any] = {"package": package, "status": status, "limit": limit + 1}
        params["before"] = _cursor(after, NEWEST)
        if metadata:
            (key, value), *others = metadata.items()
            params |= {"key": key, "value": value, "others": to_json(dict(others))}
            name = "list_runs_of_metadata"
        elif package is not None:
            name = "list_runs_of_package"
        else:
            name = "list_runs" if status is None else "list_runs_of_status"
        return await self._readers.read(partial(_page, name, params, run_of, "run_key"))

    async def steps(
        self, run_id: str, *, status: StepStatus | None, limit: int, after: str | None
    ) -> Page[Step]:
        if status is None:
            name = "list_steps"
        elif status is StepStatus.FAILED:
            name = "list_failed_steps"
        else:
            name = "list_steps_of_status" if status in FINAL_STEP else "list_open_steps"
        params = {"run_id": run_id, "status": status, "limit": limit + 1, "after": _cursor(after, 0)}
        return await self._readers.read(partial(_page, name, params, step_of, "step_key"))

    async def records(
        self, collection: str, *, run_id: str | None, limit: int, after: str | None
    ) -> Page[Record]:
        name = "list_records" if run_id is None else "list_records_of_run"
        params = {"collection": collection, "run_id": run_id, "limit": limit + 1, "after": _cursor(after, 0)}
        return await self._readers.read(partial(_page, name, params, record_of, "record_key"))

    async def queues(self, default: QueueConfig, now: int) -> list[QueueStatus]:
        return await self._readers.read(lambda conn: queue_statuses(conn, default, now))

    async def check(self) -> list[Violation]:
        """Cost: in proportion to the store, in many short read transactions beside its writers.

        Raises StoreLostError for damage that it meets.
        """
        report = Report()
        for look in LOOKS:
            key: int | None = 0
            while key is not None:
                key = await self._readers.read(partial(look_at_sound_rows, look, report, key))
        return report.found


def _cursor(after: str | None, otherwise: int) -> int:
    if after is None:
        return otherwise
    try:
        return int(after)
    except (TypeError, ValueError):
        raise OptionError(f"after must be the `next` of a page, not {after!r}") from None


def _page(
    name: str, params: Mapping[str, Any], read: Callable[[Any], T], key: str, conn: sqlite3.Connection
) -> Page[T]:
    """One row more than asked for is fetched, to know whether a next page exists."""
    found = conn.execute(SQL[name], params).fetchall()
    limit = params["limit"] - 1
    items = tuple(read(row) for row in found[:limit])
    return Page(items, str(found[limit - 1][key]) if len(found) > limit else None)


def _run(run_id: str, conn: sqlite3.Connection) -> WorkflowRun | None:
    row = conn.execute(SQL["read_run"], {"id": run_id}).fetchone()
    return None if row is None else run_of(row)


def _run_states(run_ids: list[str], conn: sqlite3.Connection) -> dict[str, RunStatus]:
    found = conn.execute(SQL["read_run_states"], {"ids": to_json(run_ids)})
    return {run_id: RunStatus(status) for run_id, status in found}


def _step(run_id: str, step_id: str, conn: sqlite3.Connection) -> Step | None:
    row = find_step(conn, run_id, step_id)
    return None if row is None else step_of(row)


def find_step(conn: sqlite3.Connection, run_id: str, step_id: str) -> Any:
    """The row of a step by its id, else by an id that stands for it."""
    params = {"run_id": run_id, "step_id": step_id}
    row = conn.execute(SQL["read_step"], params).fetchone()
    return row if row is not None else conn.execute(SQL["read_aliased_step"], params).fetchone()


def _result(
    conn: sqlite3.Connection, run_id: str, step_id: str, *, of_ended: bool = False
) -> StepResult | None:
    row = find_step(conn, run_id, step_id)
    if row is None:
        return None
    step, key = step_of(row), {"step_key": row["step_key"]}
    attempts = tuple(attempt_of(found) for found in conn.execute(SQL["step_attempts"], key))
    is_there = step.status.is_final if of_ended else any(attempt.outcome for attempt in attempts)
    if not is_there:
        return None
    stored = conn.execute(SQL["step_result"], key).fetchone()
    data, emitted = ("null", "[]") if stored is None else stored
    named = key | {"run_id": run_id, "step_id": step.id}
    return StepResult(
        step_id=step.id,
        run_id=run_id,
        data=data if step.status is StepStatus.SUCCEEDED else None,
        records=tuple(record_of(found) for found in conn.execute(SQL["step_records"], named)),
        artifacts=tuple(artifact_of(found) for found in conn.execute(SQL["step_artifacts"], key)),
        emitted_ids=tuple(json.loads(emitted)),
        error=step.error,
        completed_at=step.finished_at,
        attempts=attempts,
    )


def _artifact(conn: sqlite3.Connection, run_id: str, step_id: str, name: str) -> StoredArtifact | None:
    """The last artifact of that name; an external one answers to the name it was stored under, too."""
    row = find_step(conn, run_id, step_id)
    if row is None:
        return None
    found = conn.execute(SQL["step_artifacts"], {"step_key": row["step_key"]}).fetchall()
    for wanted in (name, f"{name}.ref.json"):
        for artifact in reversed(found):
            if artifact["name"] == wanted:
                return _stored(artifact)
    return None


def _stored(row: Any) -> StoredArtifact:
    if row["ref"] is not None:
        return StoredArtifact(None, ref_of(row["ref"]))
    artifact = artifact_of(row)
    ref = ArtifactRef(
        id=artifact.id,
        uri=f"workflow-artifact:{artifact.id}",
        name=artifact.name,
        kind=artifact.kind,
        content_type=artifact.content_type,
        metadata=artifact.metadata,
        size=artifact.size,
        sha256=row["sha256"],
    )
    return StoredArtifact(artifact.body, ref)
