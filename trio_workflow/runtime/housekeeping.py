"""Removing ended runs: first out of sight, then rows and the space they took, then the bytes of artifacts."""

import logging
import math

import trio

from trio_workflow.errors import RuntimeClosedError, StoreLostError
from trio_workflow.model.times import micros
from trio_workflow.runtime.engine import Engine
from trio_workflow.runtime.removal import failed_before, remove_due, remove_untried, retry

logger = logging.getLogger("trio_workflow")

PRUNED_AT_ONCE = 100  # runs per transaction
PAUSE_AFTER_ERROR = 60.0


async def delete_run(engine: Engine, run_id: str) -> None:
    await engine.store.delete_run(run_id)
    failed = await failed_before(engine)  # before this run's: what fails now is not tried twice
    await purge_deleted_runs(engine)
    await remove_untried(engine)
    await retry(engine, failed)


async def prune(engine: Engine, older_than: float) -> int:
    """Remove the runs that ended that many seconds ago or more; returns how many."""
    failed = await failed_before(engine)
    total = await prune_rows(engine, older_than)
    await remove_untried(engine)
    await retry(engine, failed)
    return total


async def prune_rows(engine: Engine, older_than: float) -> int:
    """The same, and the bytes of their artifacts are left to the retention loop: a store of them may hang."""
    before = engine.clock.now() - micros(older_than)
    total = 0
    while found := await engine.store.prune(before, PRUNED_AT_ONCE):
        total += found
        await purge_deleted_runs(engine)
    if not total:
        await purge_deleted_runs(engine)  # what a process that was killed had left behind
    return total


@trio.lowlevel.enable_ki_protection
async def purge_deleted_runs(engine: Engine) -> None:
    """Rows of deleted runs are gone, and bytes that no row names any more are removals.

    One task at a time: each transaction is short, but group commit would make one of those of several tasks.
    """
    async with engine.cleaning:
        more = True
        while more:
            while await engine.store.release_artifacts():
                pass
            more = await engine.store.purge()
        while await engine.store.shrink():
            pass


async def remove_pending(engine: Engine) -> None:
    """What waits to be removed is tried, and the date of the next try is noted. Errors are logged.

    Called when something was released here, and when that date has come. What other processes have released
    is noticed then, and when the first workers, or the first cycle, of a runtime begin or end.
    """
    engine.removal_requested.value = False
    engine.next_removal = math.inf
    try:
        next_try_at = await _remove_pending(engine)
    except RuntimeClosedError:
        return
    except StoreLostError as error:
        engine.crash_from(error)
        return
    except Exception as error:
        logger.warning("bytes of artifacts could not be removed: %s", error)
        engine.next_removal = trio.current_time() + PAUSE_AFTER_ERROR
        return
    if next_try_at is not None and engine.config.artifact_store is not None:
        # At least a second: another process may be at work on what is due.
        wait = max(1.0, (next_try_at - engine.clock.now()) / 1_000_000)
        engine.next_removal = trio.current_time() + wait


async def _remove_pending(engine: Engine) -> int | None:
    """Returns the date of the next try, in microseconds."""
    reads = engine.store.reads
    pending = await reads.pending_removals()
    is_due = pending.next_try_at is not None and pending.next_try_at <= engine.clock.now()
    if pending.has_rows:
        await purge_deleted_runs(engine)
    if pending.has_rows or is_due:
        await remove_due(engine)
        pending = await reads.pending_removals()
    return pending.next_try_at
