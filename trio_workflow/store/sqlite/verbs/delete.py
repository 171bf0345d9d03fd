"""Ended runs are removed: out of sight in one transaction, then their rows and bytes little by little.

Rule: the run's row goes first. What is left belongs to nobody, so that a crash in between leaves orphans to
sweep (their run_key is in the trash), never an artifact row without its bytes in a run that one can see.
"""

import json
from collections.abc import Sequence
from typing import Any

from trio_workflow.errors import RunNotFoundError, RunStateError
from trio_workflow.model.artifact import ArtifactRef
from trio_workflow.store.sqlite.rows import ref_of
from trio_workflow.store.sqlite.transaction import Tx

SWEPT_AT_ONCE = 500  # steps per transaction: some 10 ms of the write lock


def delete_run(tx: Tx, run_id: str) -> None:
    """An ended run is gone from every list. Raises RunNotFoundError, RunStateError for one that goes on."""
    head = tx.one("run_head", {"id": run_id})
    if head is None:
        raise RunNotFoundError(f'run "{run_id}" not found')
    if head["finished_at"] is None:
        raise RunStateError(f'run "{run_id}" is {head["status"]}: only a run that has ended can be deleted')
    _throw_away(tx, head)


def prune(tx: Tx, before: int, limit: int) -> int:
    """Up to `limit` runs that ended at `before` (microseconds) or earlier are gone; answers how many."""
    rows = tx.all("ended_before", {"before": before, "limit": limit})
    for row in rows:
        _throw_away(tx, row)
    return len(rows)


def _throw_away(tx: Tx, row: Any) -> None:
    run_key = row["run_key"]
    pairs: dict[str, str] = json.loads(row["metadata"])
    tx.many("remove_run_metadata", ((key, value, run_key) for key, value in pairs.items()))
    tx.run("remove_run_input", {"run_key": run_key})
    tx.run("remove_run", {"run_key": run_key})
    tx.run("into_trash", {"run_key": run_key, "id": row["id"]})


def trashed_artifacts(tx: Tx) -> list[tuple[int, ArtifactRef | None]]:
    """Some artifacts of a deleted run, by key; without a reference if they were inline."""
    row = tx.one("next_trash")
    if row is None:
        return []
    found = tx.all("trash_refs", {"run_key": row[0], "limit": SWEPT_AT_ONCE})
    return [(key, None if ref is None else ref_of(ref)) for key, ref in found]


def sweep(tx: Tx, artifact_keys: Sequence[int]) -> bool:
    """Rows of deleted runs are removed: first these artifacts (their bytes are gone), then steps.

    Answers whether more is left.
    """
    tx.many("remove_artifact", ((key,) for key in artifact_keys))
    row = tx.one("next_trash")
    if row is None:
        return False
    run_key = row[0]
    if tx.one("trash_refs", {"run_key": run_key, "limit": 1}) is not None:
        return True
    steps: list[Any] = tx.all("trash_steps", {"run_key": run_key, "limit": SWEPT_AT_ONCE})
    keys = [(step_key,) for (step_key,) in steps]
    for name in _PER_STEP:
        tx.many(name, keys)
    if len(keys) < SWEPT_AT_ONCE:
        tx.run("remove_aliases", {"run_key": run_key})
        tx.run("out_of_trash", {"run_key": run_key})
    return tx.one("next_trash") is not None


_PER_STEP = (
    "remove_step_input",
    "remove_dependencies",
    "remove_attempts",
    "remove_result",
    "remove_checkpoint",
    "remove_records",
    "remove_step",
)
