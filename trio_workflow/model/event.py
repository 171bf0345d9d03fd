"""What this runtime did, for those who watch."""

from datetime import datetime
from typing import Literal

import attrs

from trio_workflow.model.records import StepError

EventKind = Literal[
    "run_created",
    "run_updated",
    "step_leased",
    "step_succeeded",
    "step_retried",
    "step_failed",
    "step_canceled",
    "step_released",
    "lease_lost",
    "kind_unclaimed",
    "queue_rate_limited",
    "store_unavailable",
    "store_available",
]


@attrs.frozen(kw_only=True)
class Event:
    """One thing this runtime did or met. queue_wait: seconds a leased step had waited since it was due."""

    kind: EventKind
    at: datetime
    worker_id: str
    run_id: str | None = None
    step_id: str | None = None
    package: str | None = None
    queue: str | None = None
    step_kind: str | None = None
    attempt: int | None = None
    status: str | None = None
    queue_wait: float | None = None
    message: str = ""
    error: StepError | None = None
