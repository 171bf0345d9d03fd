"""Attempts end: all that an attempt produced is stored in one transaction, or nothing of it.

Rule 1: a write of an attempt takes effect only on a running row that still has its token (`fence`).
Rule 2: children exist if and only if the attempt that emitted them is stored as succeeded.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import attrs

from trio_workflow.errors import GraphError
from trio_workflow.model.changes import Renewal, StepMove
from trio_workflow.model.outcome import Completion, Failed, Failure, LeaseLost, Outcome, Released, Success
from trio_workflow.model.status import AttemptOutcome, StepStatus
from trio_workflow.rules.graph import resolve
from trio_workflow.rules.retry import after_failure
from trio_workflow.rules.transitions import StepEvent
from trio_workflow.store.protocol import Completed
from trio_workflow.store.sqlite.rows import HeldRow, artifact_row, error_text, policy_of, to_json
from trio_workflow.store.sqlite.transaction import Book, Tx
from trio_workflow.store.sqlite.verbs.again import ready_again
from trio_workflow.store.sqlite.verbs.create import add_steps, known_steps
from trio_workflow.store.sqlite.verbs.expire import take_back
from trio_workflow.store.sqlite.verbs.removal import keep_for_removal, release_attempt_artifacts
from trio_workflow.store.sqlite.verbs.settle import settle


def fence(tx: Tx, leases: Sequence[tuple[int, str]]) -> dict[str, HeldRow]:
    """The rows that are running under the given tokens, by token: the only ones an attempt may write to."""
    by_token = {token: step_key for step_key, token in leases}
    rows = map(HeldRow._make, tx.all("fence", {"leases": to_json(by_token)}))
    return {row.token: row for row in rows}


def renew(tx: Tx, renewals: Sequence[Renewal], lease: int) -> frozenset[str]:
    """Leases that still hold run on for `lease` microseconds; answers their tokens. The others are lost."""
    live = fence(tx, [(renewal.step_key, renewal.token) for renewal in renewals])
    tx.many(
        "renew",
        ((tx.now + lease, r.progress, r.step_key) for r in renewals if r.token in live),
    )
    return frozenset(live)


def save(tx: Tx, step_key: int, token: str, data: str) -> bool:
    """The checkpoint of a step is `data`; False, and nothing written, if the lease is lost."""
    if token not in fence(tx, [(step_key, token)]):
        return False
    tx.run("save_checkpoint", {"step_key": step_key, "data": data})
    return True


def complete(tx: Tx, completions: Sequence[Completion]) -> Completed:
    """Running steps whose token holds are succeeded, failed or ready again, with all that follows from it."""
    live = fence(tx, [(completion.step_key, completion.token) for completion in completions])
    book, ending = Book(tx), _Ending()
    accepted = [
        (row, completion, *_store_children(book, row, completion.outcome))
        for completion in completions
        if (row := live.pop(completion.token, None)) is not None
    ]
    for row, completion, outcome, emitted in accepted:
        match outcome:
            case Success():
                _succeed(book, ending, row, outcome, emitted)
            case Failed():
                _fail(book, ending, row, outcome)
            case Released():
                _release(book, ending, row)
            case _:
                _lose(book, ending, row, outcome)
        if completion.stored and not isinstance(outcome, Success):
            keep_for_removal(book, row.run_key, row.step_key, completion.stored)
    ending.write(book)
    for completion in completions:
        if completion.stored and completion.token not in ending.outcomes:  # stale
            keep_for_removal(book, completion.run_key, completion.step_key, completion.stored)
    settle(book, met=ending.met, dead=ending.dead)
    return Completed(book.close(), ending.outcomes)


def _store_children(book: Book, row: HeldRow, outcome: Outcome) -> tuple[Outcome, list[str]]:
    """Store what a success emitted; answers the outcome that then holds, and the ids that were stored.

    Children are stored while every step of the batch still counts as running. What they depend on among
    those is settled once, with the rest, when the batch is written.
    """
    if not isinstance(outcome, Success) or not outcome.emitted:
        return outcome, []
    known, steps = known_steps(book.tx, row.run_key, outcome.emitted)
    try:
        graph = resolve(outcome.emitted, known)
    except GraphError as error:
        return Failed(Failure(code="invalid_graph", message=str(error))), []
    add_steps(book, row.run_key, graph, steps)
    return outcome, [spec.id for spec in graph.steps]


@attrs.define
class _Ending:
    """Rows to write for a batch of completions, gathered so that each table is written at once.

    met: the steps that succeeded; successes: how many of them each run has. retried: those of them that had
    an earlier attempt, with their runs: a first attempt has left nothing, and nothing is looked up for it.
    """

    met: list[int] = attrs.field(factory=list[int])
    successes: Counter[int] = attrs.field(factory=Counter[int])
    retried: list[tuple[int, int]] = attrs.field(factory=list[tuple[int, int]])
    dead: dict[int, str] = attrs.field(factory=dict[int, str])
    outcomes: dict[str, AttemptOutcome] = attrs.field(factory=dict[str, AttemptOutcome])
    attempts: list[tuple[Any, ...]] = attrs.field(factory=list[tuple[Any, ...]])
    results: list[tuple[Any, ...]] = attrs.field(factory=list[tuple[Any, ...]])
    records: list[tuple[Any, ...]] = attrs.field(factory=list[tuple[Any, ...]])
    artifacts: list[tuple[Any, ...]] = attrs.field(factory=list[tuple[Any, ...]])

    def close_attempt(self, book: Book, row: HeldRow, outcome: AttemptOutcome, error: str | None) -> None:
        self.outcomes[row.token] = outcome
        self.attempts.append((book.tx.now, outcome, error, row.step_key, row.attempt))

    def write(self, book: Book) -> None:
        tx = book.tx
        if self.met:
            succeeded = {"keys": to_json(self.met), "now": tx.now}
            tx.run("succeed", succeeded)
            tx.run("close_succeeded_attempts", succeeded)
        for run_key, count in self.successes.items():
            book.move(run_key, StepStatus.RUNNING, StepEvent.SUCCEED, count)
        for name, rows in (
            ("close_attempt", self.attempts),
            ("insert_result", self.results),
            ("insert_record", self.records),
            ("insert_artifact", self.artifacts),
        ):
            if rows:
                tx.many(name, rows)
        for run_key, step_key in self.retried:
            release_attempt_artifacts(book, run_key, step_key)


def _succeed(book: Book, ending: _Ending, row: HeldRow, success: Success, emitted: list[str]) -> None:
    run_key, step_key = row.run_key, row.step_key
    ending.met.append(step_key)
    ending.successes[run_key] += 1
    if row.attempt > 1:
        ending.retried.append((run_key, step_key))
    ending.outcomes[row.token] = AttemptOutcome.SUCCEEDED
    _note(book, row, StepStatus.SUCCEEDED, AttemptOutcome.SUCCEEDED)
    if success.data != "null" or emitted:
        ending.results.append((step_key, success.data, to_json(emitted) if emitted else "[]"))
    if success.records:
        ending.records += [(run_key, step_key, r.collection, r.key, r.data) for r in success.records]
    if success.artifacts:
        ending.artifacts += [artifact_row(run_key, step_key, write) for write in success.artifacts]


def _fail(book: Book, ending: _Ending, row: HeldRow, failed: Failed) -> None:
    tx, run_key, step_key = book.tx, row.run_key, row.step_key
    error = error_text(failed.failure, tx.now)
    again = after_failure(policy_of(row.retry), row.charged, failed)
    changes = {"step_key": step_key, "error": error, "charged": row.charged + 1, "lost": row.lost}
    if again is None:
        tx.run("fail", changes | {"now": tx.now})
        excused = bool(row.allow_failure)
        status = book.move(run_key, StepStatus.RUNNING, StepEvent.FAIL, excused=excused)
        ending.dead[step_key] = row.id
        outcome = AttemptOutcome.FAILED
    else:
        ready_again(book, run_key, row.queue, changes, again.delay)
        status = book.move(run_key, StepStatus.RUNNING, StepEvent.RETRY)
        outcome = AttemptOutcome.RETRIED
    outcome = AttemptOutcome.TIMEOUT if failed.timed_out else outcome
    _note(book, row, status, outcome, failed.failure)
    ending.close_attempt(book, row, outcome, error)


def _release(book: Book, ending: _Ending, row: HeldRow) -> None:
    charges = {"charged": row.charged, "lost": row.lost}
    ready_again(book, row.run_key, row.queue, {"step_key": row.step_key, "error": None, **charges}, 0)
    status = book.move(row.run_key, StepStatus.RUNNING, StepEvent.RELEASE)
    _note(book, row, status, AttemptOutcome.RELEASED)
    ending.close_attempt(book, row, AttemptOutcome.RELEASED, None)


def _lose(book: Book, ending: _Ending, row: HeldRow, lost: LeaseLost) -> None:
    if not take_back(book, row, lost.max_lost):
        ending.dead[row.step_key] = row.id
    ending.outcomes[row.token] = AttemptOutcome.LEASE_LOST


def _note(
    book: Book, row: HeldRow, status: StepStatus, outcome: AttemptOutcome, failure: Failure | None = None
) -> None:
    book.steps.append(
        StepMove(
            book.run(row.run_key).id,
            row.id,
            row.package,
            row.queue,
            row.kind,
            row.attempt,
            status,
            outcome,
            failure,
        )
    )
