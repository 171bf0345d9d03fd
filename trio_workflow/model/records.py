"""What the store tells about runs and steps, as frozen values. Times are aware UTC datetimes."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar, overload

import attrs

from trio_workflow.errors import WorkflowError
from trio_workflow.model.payload import loads
from trio_workflow.model.plan import Dependency
from trio_workflow.model.policy import RateLimit, RetryPolicy
from trio_workflow.model.status import AttemptOutcome, RunStatus, StepStatus

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Lease:
    """The right to run a step until expires_at; token is the fencing token of every write under it."""

    worker_id: str
    token: str
    acquired_at: datetime
    expires_at: datetime


@attrs.frozen(kw_only=True)
class Progress:
    """Where a long step is, in units of its own; total is None when nobody knows."""

    done: float
    total: float | None = None
    message: str = ""


@attrs.frozen(kw_only=True)
class StepError:
    """Why an attempt failed. details: any JSON value, or None."""

    code: str
    message: str
    retryable: bool
    details: Any
    occurred_at: datetime
    traceback: str = attrs.field(repr=False)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code


@attrs.frozen(kw_only=True)
class WorkflowRun:
    """A run. input: JSON text. counts: how many steps are in each status."""

    id: str
    package: str
    name: str
    status: RunStatus
    input: str
    metadata: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    counts: Mapping[StepStatus, int]


@attrs.frozen(kw_only=True, slots=False)  # without slots it is made in a third of the time
class Step:
    """A step. input: JSON text. ready_at: when it became, or will become, free to start."""

    id: str
    run_id: str
    parent_id: str | None
    package: str
    kind: str
    queue: str
    dedup_key: str
    input: str
    depends_on: tuple[Dependency, ...]
    retry: RetryPolicy
    metadata: Mapping[str, str]
    priority: int
    timeout: float | None
    allow_failure: bool
    status: StepStatus
    attempt: int
    ready_at: datetime | None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    lease: Lease | None
    progress: Progress | None
    error: StepError | None
    canceled_by: str | None


@attrs.frozen(kw_only=True)
class Record:
    """A row a step wrote into a collection. data: JSON text."""

    run_id: str
    step_id: str
    collection: str
    key: str
    data: str

    @overload
    def value(self) -> Any: ...
    @overload
    def value(self, type: type[T]) -> T: ...
    @overload
    def value(self, type: Any) -> Any: ...
    def value(self, type: Any = Any) -> Any:
        """The data structured as `type`; raises PayloadError where it does not fit."""
        return loads(self.data, type)


@attrs.frozen(kw_only=True)
class Artifact:
    """An artifact of a step. body: the bytes of an inline one; of one in the artifact store the JSON text of
    its reference. size: that of the bytes, wherever they are."""

    id: str
    name: str
    kind: str
    content_type: str
    metadata: Mapping[str, str]
    body: bytes | None = attrs.field(repr=lambda body: "None" if body is None else f"<{len(body)} bytes>")
    size: int


@attrs.frozen(kw_only=True)
class Attempt:
    """One claim of a step and how it ended; outcome is None while it runs."""

    number: int
    worker_id: str
    started_at: datetime
    finished_at: datetime | None
    outcome: AttemptOutcome | None
    error: StepError | None


@attrs.frozen(kw_only=True)
class StepResult:
    """What a step has produced so far. data: JSON text, None unless the step succeeded."""

    step_id: str
    run_id: str
    data: str | None
    records: tuple[Record, ...]
    artifacts: tuple[Artifact, ...]
    emitted_ids: tuple[str, ...]
    error: StepError | None
    completed_at: datetime | None
    attempts: tuple[Attempt, ...]

    @overload
    def value(self) -> Any: ...
    @overload
    def value(self, type: type[T]) -> T: ...
    @overload
    def value(self, type: Any) -> Any: ...
    def value(self, type: Any = Any) -> Any:
        """The data structured as `type`; raises PayloadError where it does not fit, WorkflowError if none."""
        if self.data is None:
            raise WorkflowError(f"step {self.step_id} of run {self.run_id} has not succeeded: it has no data")
        return loads(self.data, type)


@attrs.frozen(kw_only=True)
class QueueStatus:
    """A queue now, over all processes. tokens: starts its rate limit would allow now, None without one."""

    queue: str
    ready: int
    running: int
    max_workers: int
    rate_limit: RateLimit | None
    tokens: float | None
    oldest_ready_at: datetime | None


@attrs.frozen(kw_only=True)
class Violation:
    """An invariant of the engine that does not hold in the store: a bug, or a file changed by hand."""

    invariant: str
    subject: str
    message: str


@attrs.frozen
class Page(Generic[T]):
    """Part of a list. next: what to pass as `after` for the following part, None on the last."""

    items: tuple[T, ...]
    next: str | None = None

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)
