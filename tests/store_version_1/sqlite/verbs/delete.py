"""Ended runs are removed: out of sight in one transaction, then their rows and bytes little by little.

Rule 1: the run's row goes first. What is left belongs to nobody, so that a crash in between leaves orphans to
sweep (their run_key is in the trash), never an artifact row without its bytes in a run that one can see.
Rule 2: a transaction removes no more than a portion, whatever the runs look like, so that those who want the
write lock do not wait for long. Only one row cannot be divided.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from trio_workflow.errors import RunNotFoundError, RunStateError
from trio_workflow.model.artifact import ArtifactRef
from trio_workflow.store.sqlite.rows import ref_of, to_json
from trio_workflow.store.sqlite.transaction import Tx

ROWS_AT_ONCE = 2000  # some 10 ms of the write lock
STEPS_AT_ONCE = 250
PAGES_AT_ONCE = 8192  # 32 MB of what does not fit into rows
PAYLOADS_AT_ONCE = 32  # rows that may be large: after so many it is asked how many pages that was
ARTIFACTS_AT_ONCE = 500
BYTES_AT_ONCE = 32 * 1024**2  # of inline artifacts


@attrs.define
class Portion:
    """What one transaction may still remove."""

    tx: Tx
    rows: int = attrs.field(factory=lambda: ROWS_AT_ONCE)
    _free: int = attrs.field(init=False)  # pages that held nothing before

    def __attrs_post_init__(self) -> None:
        self._free = free_pages(self.tx)

    @property
    def is_used_up(self) -> bool:
        return self.rows <= 0 or free_pages(self.tx) - self._free >= PAGES_AT_ONCE

    def remove(self, name: str, at_once: int, **which: Any) -> bool:
        """Remove rows by a statement until there are no more, or the portion is used up: then False."""
        while not self.is_used_up:
            limit = min(at_once, self.rows)
            removed = self.tx.run(name, {"limit": limit, **which}).rowcount
            self.rows -= removed
            if removed < limit:
                return True
        return False


def free_pages(tx: Tx) -> int:
    count: int = tx.one("free_pages")[0]
    return count


def delete_run(tx: Tx, run_id: str) -> None:
    """An ended run is gone from every list. Raises RunNotFoundError, RunStateError for one that goes on."""
    head = tx.one("run_head", {"id": run_id})
    if head is None:
        raise RunNotFoundError(f'run "{run_id}" not found')
    if head["finished_at"] is None:
        raise RunStateError(f'run "{run_id}" is {head["status"]}: only a run that has ended can be deleted')
    _throw_away(Portion(tx), head)


def prune(tx: Tx, before: int, limit: int) -> int:
    """Some runs, up to `limit`, that ended by `before` (microseconds) are gone; answers how many."""
    portion, count = Portion(tx), 0
    for row in tx.all("ended_before", {"before": before, "limit": limit}):
        if portion.is_used_up:
            break
        _throw_away(portion, row)
        count += 1
    return count


def _throw_away(portion: Portion, row: Any) -> None:
    portion.rows -= portion.tx.run("remove_run", {"run_key": row["run_key"]}).rowcount
    portion.tx.run("into_trash", {"run_key": row["run_key"], "id": row["id"]})


def trashed_artifacts(tx: Tx) -> list[tuple[int, ArtifactRef | None]]:
    """Some artifacts of deleted runs, by key; without a reference if they were inline."""
    return list(_trashed(tx))


def _trashed(tx: Tx) -> Iterator[tuple[int, ArtifactRef | None]]:
    total = 0
    for key, ref, size in tx.run("trash_refs", {"limit": ARTIFACTS_AT_ONCE}):
        yield key, None if ref is None else ref_of(ref)
        total += size
        if total >= BYTES_AT_ONCE:
            return


def sweep(tx: Tx, artifact_keys: Sequence[int]) -> bool:
    """Some rows of deleted runs are removed: first these artifacts (their bytes are gone), then steps.

    Answers whether more is left.
    """
    tx.many("remove_artifact", ((key,) for key in artifact_keys))
    portion = Portion(tx, ROWS_AT_ONCE - len(artifact_keys))
    while (row := tx.one("next_trash")) is not None:
        run_key = row[0]
        if portion.is_used_up or tx.one("has_artifacts", (run_key,)) or not _empty(portion, run_key):
            return True
        tx.run("out_of_trash", {"run_key": run_key})
        portion.rows -= 1
    return False


def _empty(portion: Portion, run_key: int) -> bool:
    """Remove what a deleted run has left; whether that is all gone."""
    return _remove_steps(portion, run_key) and all(
        portion.remove(name, ROWS_AT_ONCE, run_key=run_key)
        for name in ("remove_run_input", "remove_run_metadata", "remove_aliases")
    )


def _remove_steps(portion: Portion, run_key: int) -> bool:
    """Remove steps, each after all that hangs on it; whether none is left."""
    while steps := portion.tx.all("trash_steps", {"run_key": run_key, "limit": STEPS_AT_ONCE}):
        keys = to_json([step_key for (step_key,) in steps])
        if not all(portion.remove(name, PAYLOADS_AT_ONCE, keys=keys) for name in _PAYLOADS):
            return False
        if not all(portion.remove(name, ROWS_AT_ONCE, keys=keys) for name in _SMALL):
            return False
    return True


_PAYLOADS = ("remove_step_inputs", "remove_results", "remove_checkpoints", "remove_records")
_SMALL = ("remove_dependencies", "remove_attempts", "remove_steps")
