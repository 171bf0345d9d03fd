"""What the end of steps means for those that depend on them.

Rule 1: a step becomes ready when its counter of unmet dependencies reaches 0.
Rule 2: the failure or cancellation of a step reaches exactly its required dependents, transitively, in the
same transaction; the step whose failure began it is stored with each as its cause.
Cost: in proportion to the dependents of what ended, never to the run.
"""

from collections.abc import Sequence

from trio_workflow.model.changes import StepMove
from trio_workflow.model.status import StepStatus
from trio_workflow.rules.transitions import StepEvent
from trio_workflow.store.sqlite.rows import to_json
from trio_workflow.store.sqlite.transaction import Book


def settle(book: Book, *, met: Sequence[int], dead: dict[int, str]) -> None:
    """Steps ended. met: keys of those that succeeded; dead: of those that did not -> the cause's id."""
    wake(book, met)
    while dead:
        canceled = cancel_blocked(book, dead)
        wake(book, list(dead))  # what still waits for a dead step only needed it to end
        dead = canceled


def wake(book: Book, keys: Sequence[int]) -> None:
    """Take these dependencies off what waits for them; what waits for nothing more becomes ready."""
    if not keys:
        return
    tx, now = book.tx, book.tx.now
    ended = {"keys": to_json(list(keys))}
    dependents = tx.all("dependents", ended)
    unblocked = [dependent for dependent in dependents if not dependent["still_unmet"]]
    if len(unblocked) < len(dependents):
        tx.run("wake", ended | {"now": now})
    for step_key, run_key, queue, delay, _ in unblocked:
        ready_at, turn = book.place(queue, run_key, delay)
        book.move(run_key, StepStatus.PENDING, StepEvent.UNBLOCK)
        tx.run("make_ready", (ready_at, turn, now, step_key))


def cancel_blocked(book: Book, dead: dict[int, str]) -> dict[int, str]:
    """Cancel what requires a dead step; answers the canceled keys, each with its cause."""
    tx, now = book.tx, book.tx.now
    causes: dict[int, str] = {}
    for step_key, run_key, step_id, package, kind, queue, attempt, needs_key in tx.all(
        "blocked", {"keys": to_json(list(dead))}
    ):
        if step_key in causes:
            continue
        causes[step_key] = dead[needs_key]
        status = book.move(run_key, StepStatus.PENDING, StepEvent.BLOCK)
        run_id = book.run(run_key).id
        book.steps.append(StepMove(run_id, step_id, package, queue, kind, attempt, status))
    tx.many("cancel_step", ((cause, now, now, step_key) for step_key, cause in causes.items()))
    return causes
