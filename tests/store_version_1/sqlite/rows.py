"""Values to rows and back. Nothing here decides or asks the database."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from trio_workflow.model.artifact import ArtifactRef
from trio_workflow.model.outcome import ArtifactWrite, Failure
from trio_workflow.model.plan import Dependency
from trio_workflow.model.policy import RetryPolicy
from trio_workflow.model.records import (
    Artifact,
    Attempt,
    Lease,
    Progress,
    Record,
    Step,
    StepError,
    WorkflowRun,
)
from trio_workflow.model.status import AttemptOutcome, RunStatus, StepStatus
from trio_workflow.model.times import seconds_or_none, to_datetime, to_datetime_or_none

_ENCODE = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
Row = Any  # a sqlite3.Row; its columns are read by name


class HeldRow(NamedTuple):
    """A running step under its lease: the columns of `fence` and `expired`, in their order."""

    step_key: int
    run_key: int
    id: str
    package: str
    kind: str
    queue: str
    attempt: int
    charged: int
    lost: int
    allow_failure: int
    retry: str
    token: str
    worker_id: str


class LeasedRow(NamedTuple):
    """What a claim tells of a step at once: the first columns of `leased_steps`, in their order."""

    step_key: int
    run_key: int
    id: str
    package: str
    kind: str
    queue: str
    attempt: int
    timeout: int | None
    ready_at: int
    token: str
    input: str
    saved: str | None

    @classmethod
    def of(cls, row: Row) -> "LeasedRow":
        return cls._make(row[: len(cls._fields)])


def to_json(value: object) -> str:
    return _ENCODE(value)


def dependencies_text(dependencies: tuple[Dependency, ...]) -> str:
    return to_json([[d.step_id, int(d.required)] for d in dependencies]) if dependencies else "[]"


def dependencies_of(text: str) -> tuple[Dependency, ...]:
    return () if text == "[]" else tuple(Dependency(step_id, bool(r)) for step_id, r in json.loads(text))


@lru_cache(maxsize=256)
def policy_text(policy: RetryPolicy) -> str:
    return to_json(
        [
            policy.max_attempts,
            policy.backoff,
            policy.initial_backoff,
            policy.max_backoff,
            policy.multiplier,
            policy.jitter,
        ]
    )


@lru_cache(maxsize=256)
def policy_of(text: str) -> RetryPolicy:
    attempts, backoff, initial, longest, multiplier, jitter = json.loads(text)
    return RetryPolicy(
        max_attempts=attempts,
        backoff=backoff,
        initial_backoff=initial,
        max_backoff=longest,
        multiplier=multiplier,
        jitter=jitter,
    )


def metadata_text(metadata: Any) -> str:
    return to_json(dict(metadata)) if metadata else "{}"


def metadata_of(text: str) -> Any:
    return {} if text == "{}" else json.loads(text)


def error_text(failure: Failure, at: int) -> str:
    return to_json(
        {
            "code": failure.code,
            "message": failure.message,
            "retryable": failure.retryable,
            "details": failure.details,
            "occurred_at": at,
            "traceback": failure.traceback,
        }
    )


def error_of(text: str | None) -> StepError | None:
    if text is None:
        return None
    values = json.loads(text)
    values["occurred_at"] = to_datetime(values["occurred_at"])
    return StepError(**values)


def progress_of(text: str | None) -> Progress | None:
    return None if text is None else Progress(**json.loads(text))


def step_of(row: Row) -> Step:
    return Step(
        id=row["id"],
        run_id=row["run_id"],
        parent_id=row["parent_id"],
        package=row["package"],
        kind=row["kind"],
        queue=row["queue"],
        dedup_key=row["dedup_key"],
        input=row["input"],
        depends_on=dependencies_of(row["depends_on"]),
        retry=policy_of(row["retry"]),
        metadata=metadata_of(row["metadata"]),
        priority=row["priority"],
        timeout=seconds_or_none(row["timeout"]),
        allow_failure=bool(row["allow_failure"]),
        status=StepStatus(row["status"]),
        attempt=row["attempt"],
        ready_at=to_datetime_or_none(row["ready_at"]),
        created_at=to_datetime(row["created_at"]),
        updated_at=to_datetime(row["updated_at"]),
        started_at=to_datetime_or_none(row["started_at"]),
        finished_at=to_datetime_or_none(row["finished_at"]),
        lease=_lease_of(row),
        progress=progress_of(row["progress"]),
        error=error_of(row["error"]),
        canceled_by=row["canceled_by"],
    )


def leased_step_of(row: Row, run_id: str, leased: Mapping[str, Any]) -> Step:
    """A step from its row of `leased_steps`, which lacks what its lease decided: the columns in `leased`."""
    return step_of({**dict(row), **leased, "run_id": run_id})


def _lease_of(row: Row) -> Lease | None:
    if row["token"] is None:
        return None
    return Lease(
        worker_id=row["worker_id"],
        token=row["token"],
        acquired_at=to_datetime(row["acquired_at"]),
        expires_at=to_datetime(row["expires_at"]),
    )


def run_of(row: Row) -> WorkflowRun:
    return WorkflowRun(
        id=row["id"],
        package=row["package"],
        name=row["name"],
        status=RunStatus(row["status"]),
        input=row["input"],
        metadata=metadata_of(row["metadata"]),
        created_at=to_datetime(row["created_at"]),
        updated_at=to_datetime(row["updated_at"]),
        started_at=to_datetime_or_none(row["started_at"]),
        finished_at=to_datetime_or_none(row["finished_at"]),
        counts={status: row[status.value] for status in StepStatus},
    )


def attempt_of(row: Row) -> Attempt:
    return Attempt(
        number=row["number"],
        worker_id=row["worker_id"],
        started_at=to_datetime(row["started_at"]),
        finished_at=to_datetime_or_none(row["finished_at"]),
        outcome=None if row["outcome"] is None else AttemptOutcome(row["outcome"]),
        error=error_of(row["error"]),
    )


def record_of(row: Row) -> Record:
    return Record(
        run_id=row["run_id"],
        step_id=row["step_id"],
        collection=row["collection"],
        key=row["key"],
        data=row["data"],
    )


def ref_text(ref: ArtifactRef) -> str:
    return to_json(
        {
            "id": ref.id,
            "uri": ref.uri,
            "name": ref.name,
            "kind": ref.kind,
            "content_type": ref.content_type,
            "metadata": dict(ref.metadata),
            "size": ref.size,
            "sha256": ref.sha256,
        }
    )


def ref_of(text: str) -> ArtifactRef:
    return ArtifactRef(**json.loads(text))


def artifact_of(row: Row) -> Artifact:
    """An external artifact's body is the JSON text of its reference; its size is that of the bytes there."""
    return Artifact(
        id=row["id"],
        name=row["name"],
        kind=row["kind"],
        content_type=row["content_type"],
        metadata=metadata_of(row["metadata"]),
        body=row["body"] if row["ref"] is None else row["ref"].encode(),
        size=row["size"],
    )


def artifact_row(run_key: int, step_key: int, write: ArtifactWrite) -> tuple[Any, ...]:
    return (
        run_key,
        step_key,
        write.id,
        write.name,
        write.kind,
        write.content_type,
        metadata_text(write.metadata),
        write.size,
        write.sha256,
        None if write.ref is None else ref_text(write.ref),
        write.body,
    )
