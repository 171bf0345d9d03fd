"""Outcome: how an attempt ended, as a test sees it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar, overload

import attrs

from trio_workflow.errors import GraphError, WorkflowError
from trio_workflow.model.outcome import ArtifactWrite, Failed, Failure, RecordWrite, Success
from trio_workflow.model.outcome import Outcome as Ended
from trio_workflow.model.payload import loads
from trio_workflow.model.plan import StepSpec
from trio_workflow.model.records import Artifact, Progress, Record, Step, StepError
from trio_workflow.model.status import AttemptOutcome
from trio_workflow.rules.graph import Known, resolve
from trio_workflow.rules.retry import after_failure
from trio_workflow.runtime.events import step_error
from trio_workflow.store.sqlite.rows import ref_text
from trio_workflow.testing.plans import PlannedStep, planned

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Outcome:
    """How one attempt ended, and what it would have stored: that is nothing unless it succeeded.

    status: succeeded, failed, retried (another attempt would follow) or timeout. data: JSON text, None unless
    it succeeded, `null` without a result. error: why it failed. retry_in: seconds until the next attempt, or
    None. saved: the last checkpoint as plain JSON data, also of an attempt that failed. progress: what was
    told last.
    """

    status: AttemptOutcome
    data: str | None = None
    records: tuple[Record, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    emitted: tuple[PlannedStep, ...] = ()
    error: StepError | None = None
    retry_in: float | None = None
    saved: Any = None
    progress: Progress | None = None

    @property
    def succeeded(self) -> bool:
        """Whether the attempt succeeded."""
        return self.status is AttemptOutcome.SUCCEEDED

    @overload
    def value(self) -> Any: ...
    @overload
    def value(self, type: type[T]) -> T: ...
    def value(self, type: Any = Any) -> Any:
        """The data structured as `type`. Raises PayloadError where it does not fit, WorkflowError if none."""
        if self.data is None:
            why = "" if self.error is None else f": {self.error.code}: {self.error.message}"
            raise WorkflowError(f"the attempt has no data, since it ended as {self.status}{why}")
        return loads(self.data, type)


def outcome_of(step: Step, ended: Ended, progress: str | None, saved: str | None, now: datetime) -> Outcome:
    """What the store would have made of it. progress, saved: JSON texts."""
    checkpoint = None if saved is None else loads(saved, Any)
    told = None if progress is None else loads(progress, Progress)
    if isinstance(ended, Success):
        try:
            emitted = resolve(ended.emitted, _known(step, ended.emitted)).steps
        except GraphError as error:
            ended = Failed(Failure(code="invalid_graph", message=str(error)))
        else:
            return Outcome(
                status=AttemptOutcome.SUCCEEDED,
                data=ended.data,
                records=tuple(_record(step, record) for record in ended.records),
                artifacts=tuple(_artifact(artifact) for artifact in ended.artifacts),
                emitted=tuple(planned(spec) for spec in emitted),
                saved=checkpoint,
                progress=told,
            )
    assert isinstance(ended, Failed)  # nobody stops this worker, and its lease does not run out
    again = after_failure(step.retry, step.attempt - 1, ended)
    status = AttemptOutcome.FAILED if again is None else AttemptOutcome.RETRIED
    return Outcome(
        status=AttemptOutcome.TIMEOUT if ended.timed_out else status,
        error=step_error(ended.failure, now),
        retry_in=None if again is None else again.delay / 1_000_000,
        saved=checkpoint,
        progress=told,
    )


def _known(step: Step, emitted: Sequence[StepSpec]) -> Known:
    """The steps of the run, as far as they show: this one, its dependencies, and what else is named."""
    new = {spec.id for spec in emitted}
    named = {d.step_id for spec in emitted for d in spec.depends_on} - new
    taken = {step.id, *(dependency.step_id for dependency in step.depends_on)}
    return Known(ids={step_id: step_id for step_id in sorted(named | taken)})


def _record(step: Step, write: RecordWrite) -> Record:
    return Record(
        run_id=step.run_id, step_id=step.id, collection=write.collection, key=write.key, data=write.data
    )


def _artifact(write: ArtifactWrite) -> Artifact:
    return Artifact(
        id=write.id,
        name=write.name,
        kind=write.kind,
        content_type=write.content_type,
        metadata=write.metadata,
        body=write.body if write.ref is None else ref_text(write.ref).encode(),
        size=write.size,
    )
