"""Bytes are removed from the artifact store, when no loss of power can bring back a row that names them.

Rule 1: the removal is a row in the store before it is tried, and goes only when the bytes are gone. So a
kill loses track of no bytes, and a try may be repeated.
Rule 2: an error of the artifact store stops nothing. It is recorded and logged once for each reference, and
the bytes are tried again later.
"""

import logging
from collections.abc import Sequence

from trio_workflow.artifacts import ArtifactStore
from trio_workflow.model.payload import clean_text
from trio_workflow.model.removal import FailedRemoval, Removal
from trio_workflow.runtime.engine import Engine

logger = logging.getLogger("trio_workflow")

TRIED_AT_ONCE = 100  # removals per transaction
RETRIED_AT_ONCE = 100  # removals that failed before, per call of `delete_run` or `prune`
ERROR_LENGTH = 500


async def remove_untried(engine: Engine) -> None:
    """Try all bytes that were never tried."""
    await _remove_until(engine, 0)


async def remove_due(engine: Engine) -> None:
    """Try all bytes whose date has come, those that were never tried among them."""
    await _remove_until(engine, engine.clock.now())


async def _remove_until(engine: Engine, until: int) -> None:
    """A runtime without an artifact store leaves the bytes to a runtime that has it.

    Each removal is tried once, whatever the clock does to its date meanwhile.
    """
    artifacts = engine.config.artifact_store
    if artifacts is None:
        return
    tried: set[int] = set()
    async with engine.removing:
        while batch := [r for r in await engine.store.removals(until, TRIED_AT_ONCE) if r.key not in tried]:
            tried.update(removal.key for removal in batch)
            await _try(engine, artifacts, batch)


async def failed_before(engine: Engine) -> Sequence[Removal]:
    """Some removals that have failed, due or not; another call returns the next ones."""
    if engine.config.artifact_store is None:
        return ()
    found = await engine.store.failed_removals(engine.last_retried, RETRIED_AT_ONCE)
    if len(found) < RETRIED_AT_ONCE and engine.last_retried:
        engine.last_retried = 0
        return found or await failed_before(engine)
    if found:
        engine.last_retried = found[-1].key
    return found


async def retry(engine: Engine, failed: Sequence[Removal]) -> None:
    """Try these once more."""
    artifacts = engine.config.artifact_store
    if artifacts is not None and failed:
        async with engine.removing:
            await _try(engine, artifacts, failed)


async def _try(engine: Engine, artifacts: ArtifactStore, batch: Sequence[Removal]) -> None:
    removed: list[int] = []
    failed: dict[int, FailedRemoval] = {}
    for removal in batch:
        try:
            await artifacts.delete(removal.ref)
        except Exception as error:
            text = f"{type(error).__name__}: {clean_text(error, ERROR_LENGTH)}"
            failed[removal.key] = FailedRemoval(removal.key, text)
        else:
            removed.append(removal.key)
    first = await engine.store.settle_removals(removed, tuple(failed.values()))
    if failed:  # the retention loop waits for the date of the next try
        engine.removal_requested.value = True
    for removal in batch:
        if removal.key in first:
            logger.warning(
                'the bytes of artifact "%s" could not be removed, and will be tried again: %s',
                removal.ref.id,
                failed[removal.key].error,
            )
