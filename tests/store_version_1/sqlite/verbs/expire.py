"""Leases that ran out are taken back: the step is ready again, or failed if that happened too often."""

import attrs

from trio_workflow.model.changes import ClaimRequest, StepMove
from trio_workflow.model.outcome import Failure
from trio_workflow.model.status import AttemptOutcome, StepStatus
from trio_workflow.rules.retry import is_abandoned
from trio_workflow.rules.transitions import StepEvent
from trio_workflow.store.sqlite.rows import HeldRow, error_text
from trio_workflow.store.sqlite.transaction import Book
from trio_workflow.store.sqlite.verbs.again import ready_again
from trio_workflow.store.sqlite.verbs.settle import settle

EXPIRED_AT_ONCE = 1000  # per queue and transaction; the rest follow in the next


@attrs.frozen
class Leased:
    """A queue's leases: how many, and the first and last expiry in microseconds."""

    running: int
    first_expiry: int
    last_expiry: int


def expire(book: Book, request: ClaimRequest, leased: dict[str, Leased]) -> int:
    """Take back what expired, but for the leases the asker still holds by its own clock; answers how many."""
    tx = book.tx
    rows = [
        row
        for queue, lease in leased.items()
        if lease.first_expiry <= tx.now
        for row in map(
            HeldRow._make,
            tx.all(
                "expired", {"queue": queue, "now": tx.now, "limit": EXPIRED_AT_ONCE + len(request.spared)}
            ),
        )
        if row.token not in request.spared
    ]
    dead = {row.step_key: row.id for row in rows if not take_back(book, row, request.max_lost)}
    settle(book, met=(), dead=dead)
    return len(rows)


def take_back(book: Book, row: HeldRow, max_lost: int) -> bool:
    """A lost lease is counted; answers whether the step may run again."""
    tx, lost, run_key = book.tx, row.lost + 1, row.run_key
    abandoned = is_abandoned(lost, max_lost)
    failure = Failure(code="lease_lost", message=_sentence(row.worker_id, lost), retryable=not abandoned)
    error = error_text(failure, tx.now)
    changes = {"step_key": row.step_key, "error": error, "charged": row.charged, "lost": lost}
    if abandoned:
        tx.run("fail", changes | {"now": tx.now})
        excused = bool(row.allow_failure)
        status = book.move(run_key, StepStatus.RUNNING, StepEvent.ABANDON, excused=excused)
    else:
        ready_again(book, run_key, row.queue, changes, 0)
        status = book.move(run_key, StepStatus.RUNNING, StepEvent.EXPIRE)
    tx.run("close_attempt", (tx.now, AttemptOutcome.LEASE_LOST, error, row.step_key, row.attempt))
    book.revoked.append(row.token)
    book.steps.append(
        StepMove(
            run_id=book.run(run_key).id,
            step_id=row.id,
            package=row.package,
            queue=row.queue,
            kind=row.kind,
            attempt=row.attempt,
            status=status,
            outcome=AttemptOutcome.LEASE_LOST,
            failure=failure,
        )
    )
    return not abandoned


def _sentence(worker_id: str, lost: int) -> str:
    times = "once" if lost == 1 else f"{lost} times"
    return (
        f"the lease of worker {worker_id} ran out before its attempt ended: the worker was killed, cut off "
        f"from the store, or blocked; this step has now lost its lease {times}"
    )
