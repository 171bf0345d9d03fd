"""A run, a step and results of others, as they would stand in a store while a step runs."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from trio_workflow.authoring.options import texts
from trio_workflow.model.payload import require_name
from trio_workflow.model.plan import StepSpec
from trio_workflow.model.records import Lease, Step, StepError, StepResult, WorkflowRun
from trio_workflow.model.status import RunStatus, StepStatus

LEASE = 30_000_000
"""Microseconds that StepContext.lease shows. Nobody renews it, and it does not run out."""


def run_of(
    run_id: str, package: str, input: str, metadata: Mapping[str, str] | None, now: datetime
) -> WorkflowRun:
    """A run with one step, which runs."""
    return WorkflowRun(
        id=require_name("run_id", run_id),
        package=require_name("package", package),
        name=package,
        status=RunStatus.RUNNING,
        input=input,
        metadata=texts("run_metadata", metadata or {}),
        created_at=now,
        updated_at=now,
        started_at=now,
        finished_at=None,
        counts={status: int(status is StepStatus.RUNNING) for status in StepStatus},
    )


def step_of(spec: StepSpec, run: WorkflowRun, attempt: int, now: datetime) -> Step:
    """The step as its attempt of that number finds it."""
    return Step(
        id=spec.id,
        run_id=run.id,
        parent_id=spec.parent_id,
        package=spec.package,
        kind=spec.kind,
        queue=spec.queue,
        dedup_key=spec.dedup_key,
        input=spec.input,
        depends_on=spec.depends_on,
        retry=spec.retry,
        metadata=spec.metadata,
        priority=spec.priority,
        timeout=spec.timeout,
        allow_failure=spec.allow_failure,
        status=StepStatus.RUNNING,
        attempt=attempt,
        ready_at=now,
        created_at=now,
        updated_at=now,
        started_at=now,
        finished_at=None,
        lease=Lease(
            worker_id="run_executor",
            token="test",
            acquired_at=now,
            expires_at=now + timedelta(microseconds=LEASE),
        ),
        progress=None,
        error=None,
        canceled_by=None,
    )


def dependency(run_id: str, step_id: str, data: str | None, error: StepError | None = None) -> StepResult:
    """A step that succeeded with that data (JSON text), or failed with that error, and produced nothing."""
    return StepResult(
        step_id=step_id,
        run_id=run_id,
        data=data,
        records=(),
        artifacts=(),
        emitted_ids=(),
        error=error,
        completed_at=None,
        attempts=(),
    )
