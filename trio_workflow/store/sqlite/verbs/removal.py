"""Bytes leave the artifact store: their rows become removals, which are tried until the bytes are gone.

Rule 1: bytes that a committed row of a run names are never a removal. Equal bytes may share one place, so
each reference is compared with the committed rows in the transaction that makes it a removal.
Rule 2: a removal is made by a durable transaction, and by no other. Otherwise a loss of power could bring
back the row that names the bytes, after they were removed.
Rule 3: a removal outlives its run, and goes when its bytes are gone.

A step commits its artifacts once, and other steps and runs never share a place with it (see ArtifactStore):
so no row can come to name the bytes of a removal later.
"""

from collections.abc import Sequence
from typing import Any

from trio_workflow.model.outcome import StoredBytes
from trio_workflow.model.removal import FailedRemoval, Removal
from trio_workflow.model.status import StepStatus
from trio_workflow.store.sqlite.rows import ref_of, ref_text
from trio_workflow.store.sqlite.transaction import Book, Tx

ARTIFACTS_AT_ONCE = 500
BYTES_AT_ONCE = 32 * 1024**2  # of inline artifacts
FIRST_PAUSE = 60 * 1_000_000  # microseconds until the second try; it doubles with every try
LONGEST_PAUSE = 24 * 60 * 60 * 1_000_000


def keep_for_removal(book: Book, run_key: int, step_key: int, stored: Sequence[StoredBytes]) -> None:
    """Record what an attempt has put and did not succeed with.

    It is released with the step's success. A success may come first when the attempt had lost its lease.
    """
    status = book.tx.one("status_of_step", {"run_key": run_key, "step_key": step_key})
    released = status is None or status[0] == StepStatus.SUCCEEDED
    for each in stored:
        place = each.ref.uri or f"{each.id}#{each.ref.sha256}"  # of two references without a uri none is lost
        reference = {"id": each.id, "uri": place, "ref": ref_text(each.ref)}
        owner = {"run_key": run_key, "step_key": step_key, "released": int(released)}
        book.tx.run("insert_attempt_artifact", owner | reference)
    book.released |= released


def release_attempt_artifacts(book: Book, run_key: int, step_key: int) -> None:
    """The step has succeeded: what its earlier attempts have put may be removed."""
    released = book.tx.run("release_attempt_artifacts", {"run_key": run_key, "step_key": step_key}).rowcount
    book.released |= released > 0


def release_artifacts(tx: Tx) -> bool:
    """Some artifacts of deleted runs, and some released references, are removals; returns whether any are."""
    return _release_deleted(tx) or _release_attempts(tx)


def _release_deleted(tx: Tx) -> bool:
    keys: list[tuple[int]] = []
    total = 0
    for key, uri, ref, size in tx.all("artifacts_to_release", {"limit": ARTIFACTS_AT_ONCE}):
        if ref is not None and not (uri and _is_committed(tx, uri)):
            tx.run("insert_removal", {"uri": uri, "ref": ref})
        keys.append((key,))
        total += size
        if total >= BYTES_AT_ONCE:
            break
    tx.many("remove_artifact", keys)
    return bool(keys)


def _release_attempts(tx: Tx) -> bool:
    limit = {"limit": ARTIFACTS_AT_ONCE}
    rows = tx.all("released_attempt_artifacts", limit) or tx.all("attempt_artifacts_to_release", limit)
    for row in rows:
        if not _is_committed(tx, row["uri"]) and not _is_committed_elsewhere(tx, row):
            tx.run("insert_removal", {"uri": row["uri"], "ref": row["ref"]})
    tx.many("remove_attempt_artifact", ((row["attempt_artifact_key"],) for row in rows))
    return bool(rows)


def _is_committed(tx: Tx, uri: str) -> bool:
    """Whether a run that is there has an artifact with that place."""
    found: object = tx.one("is_committed_uri", {"uri": uri})
    return found is not None


def _is_committed_elsewhere(tx: Tx, row: Any) -> bool:
    """Whether the step succeeded with the same bytes, whose place had another uri by then.

    A FileArtifactStore whose root has moved finds bytes by the last segment of their uri.
    """
    where = {"run_key": row["run_key"], "step_key": row["step_key"], "id": row["id"]}
    committed = tx.one("committed_artifact", where)
    if committed is None:
        return False
    ref = ref_of(row["ref"])
    sha256, uri = committed
    return bool(sha256 == ref.sha256 and _last_segment(uri) == _last_segment(ref.uri))


def _last_segment(uri: str) -> str:
    return uri.rpartition("/")[2]


def removals(tx: Tx, until: int, limit: int) -> list[Removal]:
    """Some removals whose next try is at `until` or before, those that were never tried first."""
    return _removals(tx.all("due_removals", {"until": until, "limit": limit}))


def failed_removals(tx: Tx, after: int, limit: int) -> list[Removal]:
    """Some removals that were tried in vain, due or not, after that key."""
    return _removals(tx.all("failed_removals", {"after": after, "limit": limit}))


def _removals(rows: list[Any]) -> list[Removal]:
    return [Removal(key, ref_of(ref)) for key, ref in rows]


def settle_removals(tx: Tx, removed: Sequence[int], failed: Sequence[FailedRemoval]) -> frozenset[int]:
    """Removals that were carried out are gone, and others later; returns the keys that failed first now."""
    tx.many("remove_removal", ((key,) for key in removed))
    return frozenset(each.key for each in failed if _postpone(tx, each))


def _postpone(tx: Tx, failed: FailedRemoval) -> bool:
    """Set the date of the next try; returns whether this was the first try.

    A try that came before its date counts for nothing: else calls in quick succession would put the removal
    off for a day.
    """
    row = tx.one("removal_state", (failed.key,))
    if row is None:  # another process has removed the bytes
        return False
    tries, next_try_at = row
    if next_try_at > tx.now:
        return False
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(tries, 20))
    later = {"tries": tries + 1, "next_try_at": tx.now + pause, "error": failed.error}
    tx.run("postpone_removal", later | {"removal_key": failed.key})
    is_first: bool = tries == 0
    return is_first
