"""A run is canceled: what is open in it, and the run itself, in one transaction."""

from trio_workflow.errors import RunNotFoundError
from trio_workflow.model.changes import Changes, StepMove
from trio_workflow.model.status import AttemptOutcome, RunStatus, StepStatus
from trio_workflow.rules.transitions import StepEvent
from trio_workflow.store.sqlite.transaction import Book, Tx


def cancel_run(tx: Tx, run_id: str) -> Changes:
    """Open steps become canceled and leases of them are revoked; an ended run is left as it is.

    Cost: in proportion to the open steps. Raises RunNotFoundError.
    """
    head = tx.one("run_head", {"id": run_id})
    if head is None:
        raise RunNotFoundError(f'run "{run_id}" not found')
    if RunStatus(head["status"]).is_final:
        return Changes()
    run_key, book = head["run_key"], Book(tx)
    keys: list[int] = []
    for row in tx.run("open_steps", {"run_key": run_key}):
        keys.append(row["step_key"])
        before = StepStatus(row["status"])
        status = book.move(run_key, before, StepEvent.CANCEL)
        outcome = AttemptOutcome.CANCELED if before is StepStatus.RUNNING else None
        if outcome is not None:
            tx.run("close_attempt", (tx.now, outcome, None, row["step_key"], row["attempt"]))
            book.revoked.append(row["token"])
        book.steps.append(
            StepMove(
                run_id, row["id"], row["package"], row["queue"], row["kind"], row["attempt"], status, outcome
            )
        )
    tx.many("cancel_step", ((None, tx.now, tx.now, step_key) for step_key in keys))
    book.run(run_key).canceled = True
    return book.close()
