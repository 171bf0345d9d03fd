"""An operator retries failed steps, and with them what was canceled because of them.

A canceled step goes back to pending when none of its required dependencies is failed or canceled any more.
Otherwise it stays, with the cause of one that is. Either change can change what depends on it in turn, so
that dependents are looked at again until nothing changes; the graph has no cycle, so this ends.
Cost: in proportion to the steps canceled because of what is retried, and their dependencies.
"""

from typing import Any

from trio_workflow.errors import RunNotFoundError, RunStateError, StepNotFoundError, StepStateError
from trio_workflow.model.changes import Changes
from trio_workflow.model.plan import Dependency
from trio_workflow.model.status import RunStatus, StepStatus
from trio_workflow.rules.transitions import StepEvent
from trio_workflow.store.sqlite.rows import dependencies_of, to_json
from trio_workflow.store.sqlite.transaction import Book, Tx
from trio_workflow.store.sqlite.verbs.again import ready_again


def retry_step(tx: Tx, run_id: str, step_id: str) -> Changes:
    """A failed step is ready again, with a fresh budget.

    Raises RunNotFoundError, StepNotFoundError, RunStateError for a canceled run, StepStateError for a step
    that has not failed.
    """
    run_key = _retryable_run(tx, run_id)
    row = tx.one("step_of", {"run_key": run_key, "step_id": step_id})
    if row is None:
        raise StepNotFoundError(f'run "{run_id}" has no step "{step_id}"')
    if row["status"] != StepStatus.FAILED:
        raise StepStateError(f'step "{step_id}" of run "{run_id}" is {row["status"]}, not failed')
    return _reopen(tx, [row])


def retry_run(tx: Tx, run_id: str) -> Changes:
    """That for every failed step of a run; a run without one is left as it is."""
    run_key = _retryable_run(tx, run_id)
    return _reopen(tx, tx.all("failed_steps", {"run_key": run_key}))


def _retryable_run(tx: Tx, run_id: str) -> int:
    head = tx.one("run_head", {"id": run_id})
    if head is None:
        raise RunNotFoundError(f'run "{run_id}" not found')
    if head["status"] == RunStatus.CANCELED:
        raise RunStateError(f'run "{run_id}" is canceled: its steps cannot be retried')
    run_key: int = head["run_key"]
    return run_key


def _reopen(tx: Tx, rows: list[Any]) -> Changes:
    book = Book(tx)
    changed: list[int] = []
    for row in rows:
        fresh = {"step_key": row["step_key"], "error": None, "charged": 0, "lost": 0}
        ready_again(book, row["run_key"], row["queue"], fresh, 0)
        excused = bool(row["allow_failure"])
        book.move(row["run_key"], StepStatus.FAILED, StepEvent.REOPEN, excused=excused)
        _unmeet(tx, row["step_key"])
        changed.append(row["step_key"])
    while changed:
        changed = _reconsider(book, changed)
    return book.close()


def _unmeet(tx: Tx, step_key: int) -> None:
    """Steps that still wait and only needed this one to end must wait for it again."""
    tx.run("unmeet", {"keys": to_json([step_key])})


def _reconsider(book: Book, changed: list[int]) -> list[int]:
    """Look again at the canceled dependents of these; answers those of them that changed."""
    tx = book.tx
    again: list[int] = []
    for row in tx.all("canceled_dependents", {"keys": to_json(changed)}):
        dependencies = dependencies_of(row["depends_on"])
        states = _states(tx, row["run_key"], dependencies)
        cause = _cause(dependencies, states)
        if cause is None:
            _revive(book, row, _unmet(dependencies, states))
        elif cause != row["canceled_by"]:
            tx.run("set_cause", (cause, row["step_key"]))
        else:
            continue
        again.append(row["step_key"])
    return again


def _states(tx: Tx, run_key: int, dependencies: tuple[Dependency, ...]) -> dict[str, tuple[StepStatus, str]]:
    """Status of each dependency, and the step to name as the cause if it is dead."""
    ids = to_json([dependency.step_id for dependency in dependencies])
    return {
        step_id: (StepStatus(status), canceled_by or step_id)
        for step_id, status, canceled_by in tx.all("step_states", {"ids": ids, "run_key": run_key})
    }


def _cause(dependencies: tuple[Dependency, ...], states: dict[str, tuple[StepStatus, str]]) -> str | None:
    for dependency in dependencies:
        status, cause = states[dependency.step_id]
        if dependency.required and status in (StepStatus.FAILED, StepStatus.CANCELED):
            return cause
    return None


def _unmet(dependencies: tuple[Dependency, ...], states: dict[str, tuple[StepStatus, str]]) -> int:
    return sum(not states[dependency.step_id][0].is_final for dependency in dependencies)


def _revive(book: Book, row: Any, unmet: int) -> None:
    book.tx.run("revive", (unmet, book.tx.now, row["step_key"]))
    book.move(row["run_key"], StepStatus.CANCELED, StepEvent.REVIVE)
    _unmeet(book.tx, row["step_key"])
