"""The legal moves of a step, as one table.

Rule 1: a step's status changes only along this table.
Rule 2: succeeded is final for good; failed and canceled are left only by an operator's retry.
"""

from enum import StrEnum

from trio_workflow.errors import StepStateError
from trio_workflow.model.status import StepStatus


class StepEvent(StrEnum):
    """What happens to a step."""

    UNBLOCK = "unblock"  # its last unmet dependency was met
    BLOCK = "block"  # a required dependency failed or was canceled
    CLAIM = "claim"  # a worker takes a lease on it
    SUCCEED = "succeed"
    FAIL = "fail"  # for good: permanent, or no attempt left
    RETRY = "retry"  # its attempt failed, and another will be made
    RELEASE = "release"  # given back by its worker, uncharged
    EXPIRE = "expire"  # its lease ran out, and it may run again
    ABANDON = "abandon"  # its lease ran out once too often
    CANCEL = "cancel"  # its run was canceled
    REOPEN = "reopen"  # an operator retries the failed step
    REVIVE = "revive"  # an operator retries the step whose failure canceled it


PENDING, READY, RUNNING = StepStatus.PENDING, StepStatus.READY, StepStatus.RUNNING
SUCCEEDED, FAILED, CANCELED = StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.CANCELED

MOVES: dict[tuple[StepStatus, StepEvent], StepStatus] = {
    (PENDING, StepEvent.UNBLOCK): READY,
    (PENDING, StepEvent.BLOCK): CANCELED,
    (PENDING, StepEvent.CANCEL): CANCELED,
    (READY, StepEvent.CLAIM): RUNNING,
    (READY, StepEvent.CANCEL): CANCELED,
    (RUNNING, StepEvent.SUCCEED): SUCCEEDED,
    (RUNNING, StepEvent.FAIL): FAILED,
    (RUNNING, StepEvent.RETRY): READY,
    (RUNNING, StepEvent.RELEASE): READY,
    (RUNNING, StepEvent.EXPIRE): READY,
    (RUNNING, StepEvent.ABANDON): FAILED,
    (RUNNING, StepEvent.CANCEL): CANCELED,
    (FAILED, StepEvent.REOPEN): READY,
    (CANCELED, StepEvent.REVIVE): PENDING,
}


def is_legal(status: StepStatus, event: StepEvent) -> bool:
    return (status, event) in MOVES


def after(status: StepStatus, event: StepEvent) -> StepStatus:
    """The status that `event` leads to; raises StepStateError for a move the table does not have."""
    try:
        return MOVES[status, event]
    except KeyError:
        raise StepStateError(f"a step that is {status} cannot {event}") from None
