"""Ready steps are leased to a worker: as many as every limit allows, in the order of turns.

Rule 1: a lease is taken only on a step that is due, of a kind the worker has, in a queue with a free slot.
Rule 2: every lease has a token of its own, and an attempt of its own with the next number.
Cost: in proportion to the queues and kinds that have due steps, and to what is claimed. Steps that cannot be
claimed now are skipped a whole (queue, kind) at a time, and delayed ones are not in the index at all.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any

import attrs

from trio_workflow.model.changes import Claim, ClaimAnswer, ClaimRequest, StepMove
from trio_workflow.model.status import StepStatus
from trio_workflow.model.times import seconds_or_none
from trio_workflow.rules.transitions import StepEvent
from trio_workflow.store.sqlite.rows import LeasedRow, leased_step_of, run_of, to_json
from trio_workflow.store.sqlite.transaction import Book, Tx
from trio_workflow.store.sqlite.verbs.expire import Leased, expire
from trio_workflow.store.sqlite.verbs.hall import Hall

PROMOTED_AT_ONCE = 1000  # delayed steps that fall due in one transaction; the rest follow in the next


def claim(tx: Tx, request: ClaimRequest, new_tokens: Callable[[int], list[str]]) -> ClaimAnswer:
    """Expired leases are taken back, delayed steps whose date has come fall due, and due steps run."""
    book = Book(tx)
    leased = _leased(tx)
    may_expire = request.may_expire(tx.now)
    refreshed = expire(book, request, leased) if may_expire else 0
    if refreshed:
        leased = _leased(tx)
    next_delayed = fall_due(book)
    hall = Hall(tx, request, leased)
    chosen = hall.choose() if request.limit > 0 else {}
    keys = [step.step_key for steps in chosen.values() for step in steps]
    rows = _lease(book, request, dict(zip(new_tokens(len(keys)), keys, strict=True))) if keys else []
    hall.note_starts(chosen)
    changes = book.close()
    # After the book is closed: their runs are told as they are now that the steps have started.
    claims = _claims(tx, request, rows) if rows else ()
    turns_at = _first(changes.due, next_delayed, *hall.limited.values())
    return ClaimAnswer(
        claims=claims,
        looked_for_expired=may_expire,
        refreshed=refreshed,
        changes=attrs.evolve(changes, due=_first(turns_at, *_expiries(tx, request, leased))),
        limits={queue: hall.config(queue).max_workers for queue in chosen},
        limited=tuple(sorted(hall.limited)),
        held_back=tuple(sorted(hall.held_back)),
        unclaimed_kinds=tuple(sorted(hall.unclaimed_kinds)),
        turns_at=turns_at,
        leases_end=max((lease.last_expiry for lease in leased.values()), default=None),
    )


def _leased(tx: Tx) -> dict[str, Leased]:
    return {queue: Leased(*counts) for queue, *counts in tx.all("leased_by_queue")}


def fall_due(book: Book) -> int | None:
    """Delayed steps whose date has come get their turn; answers the next date of one that waits."""
    first: int | None = book.tx.one("next_delayed")[0]
    if first is None or first > book.tx.now:
        return first
    limits = {"now": book.tx.now, "limit": PROMOTED_AT_ONCE}
    for step_key, run_key, queue in book.tx.all("delayed_due", limits):
        book.tx.run("fall_due", (book.turn(queue, run_key), step_key))
    following: int | None = book.tx.one("next_delayed")[0]
    return following


def _lease(book: Book, request: ClaimRequest, keys: Mapping[str, int]) -> list[tuple[LeasedRow, Any]]:
    """Lease steps. keys: by token. Answers of each what a claim tells at once, and its whole row."""
    tx, leases = book.tx, {"leases": to_json(keys)}
    tx.run(
        "lease",
        leases | {"now": tx.now, "worker_id": request.worker_id, "expires_at": tx.now + request.lease},
    )
    tx.run("open_attempts", leases)
    rows = [(LeasedRow.of(row), row) for row in tx.all("leased_steps", leases)]
    for run_key, count in Counter(step.run_key for step, _ in rows).items():
        book.start(run_key)
        book.move(run_key, StepStatus.READY, StepEvent.CLAIM, count)
    book.steps.extend(_leased_move(step, book.run(step.run_key).id, tx.now) for step, _ in rows)
    return rows


def _claims(tx: Tx, request: ClaimRequest, rows: list[tuple[LeasedRow, Any]]) -> tuple[Claim, ...]:
    run_keys = sorted({step.run_key for step, _ in rows})
    runs = {row["run_key"]: row for row in tx.all("runs_by_key", {"keys": to_json(run_keys)})}
    ids = {run_key: row["id"] for run_key, row in runs.items()}
    read_runs = {key: cache(partial(run_of, row)) for key, row in runs.items()}  # one value for all its steps
    leased = _leased_columns(tx, request)
    return tuple(
        Claim(
            step_key=step.step_key,
            token=step.token,
            step_id=step.id,
            kind=step.kind,
            queue=step.queue,
            attempt=step.attempt,
            input=step.input,
            timeout=seconds_or_none(step.timeout),
            run_id=ids[step.run_key],
            run_key=step.run_key,
            read_run=read_runs[step.run_key],
            started_at=tx.now,
            expires_at=leased["expires_at"],
            saved=step.saved,
            read_step=partial(leased_step_of, row, ids[step.run_key], leased),
        )
        for step, row in rows
    )


def _leased_columns(tx: Tx, request: ClaimRequest) -> dict[str, Any]:
    """What `lease` has written into every row, and what no running step has."""
    return {
        "status": StepStatus.RUNNING,
        "updated_at": tx.now,
        "acquired_at": tx.now,
        "expires_at": tx.now + request.lease,
        "worker_id": request.worker_id,
        "progress": None,
        "finished_at": None,
        "canceled_by": None,
    }


def _expiries(tx: Tx, request: ClaimRequest, leased: Mapping[str, Leased]) -> Iterator[int]:
    """One that has passed is of a lease the asker was spared: that is looked at again a little later."""
    for lease in leased.values():
        yield lease.first_expiry if lease.first_expiry > tx.now else tx.now + request.lease // 12


def _leased_move(step: LeasedRow, run_id: str, now: int) -> StepMove:
    return StepMove(
        run_id,
        step.id,
        step.package,
        step.queue,
        step.kind,
        step.attempt,
        StepStatus.RUNNING,
        queue_wait=max(0, now - step.ready_at) / 1_000_000,
    )


def _first(*dates: int | None) -> int | None:
    return min((date for date in dates if date is not None), default=None)
