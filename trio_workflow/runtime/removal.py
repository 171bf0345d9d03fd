"""Bytes are removed from the artifact store, when no loss of power can bring back a row that names them.

Rule 1: the removal is a row in the store before it is tried, and goes only when the bytes are gone. So a
kill loses track of no bytes, and a try may be repeated.
Rule 2: an error of the artifact store stops nothing. It is recorded and logged once for each reference, and
the bytes are tried again later.
"""

import logging
import math
from collections.abc import Collection, Sequence

import trio

from trio_workflow.artifacts import ArtifactStore
from trio_workflow.model.artifact import ArtifactRef
from trio_workflow.model.payload import clean_text
from trio_workflow.model.removal import FailedRemoval, Removal
from trio_workflow.runtime.engine import Engine
from trio_workflow.runtime.failures import describe, is_a, leaves_of

logger = logging.getLogger("trio_workflow")

TRIED_AT_ONCE = 100  # removals per transaction
RETRIED_AT_ONCE = 100  # removals that failed before, per call of `delete_run` or `prune`
ERROR_LENGTH = 500
TRY_SECONDS = (
    30.0  # after these a try counts as failed: an artifact store that hangs must not stop the others
)
MAX_HANGS = 3  # per call; after these the rest is recorded as failed without a try
HANGS = f"delete did not return within {TRY_SECONDS:g} seconds"


async def remove_untried(engine: Engine) -> None:
    """Try all bytes that were never tried."""
    await _remove_until(engine, 0)


async def remove_due(engine: Engine) -> None:
    """Try all bytes whose date has come, those that were never tried among them."""
    await _remove_until(engine, engine.clock.now())


async def _remove_until(engine: Engine, until: int) -> None:
    """A runtime without an artifact store leaves the bytes to a runtime that has it.

    Each removal is tried once, whatever the clock does to its date meanwhile. What another task has been
    trying since before is not waited for: that artifact store may hang.
    """
    artifacts = engine.config.artifact_store
    if artifacts is None:
        return
    before, tried, hangs = frozenset(engine.removing), set[int](), 0
    while True:
        found = await engine.store.removals(until, TRIED_AT_ONCE + len(engine.removing))
        batch = [each for each in found if each.key not in tried and each.key not in engine.removing]
        if not batch:
            break
        settled = await _try(engine, artifacts, batch, gives_up=hangs >= MAX_HANGS)
        tried.update(settled)
        hangs += len(settled) < len(batch)
    for key, has_ended in list(engine.removing.items()):
        if key not in before:
            await has_ended.wait()


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
    batch = [removal for removal in failed if removal.key not in engine.removing]
    if artifacts is not None and batch:
        await _try(engine, artifacts, batch, until=trio.current_time() + TRY_SECONDS)


async def _try(
    engine: Engine,
    artifacts: ArtifactStore,
    batch: Sequence[Removal],
    *,
    until: float = math.inf,
    gives_up: bool = False,
) -> Collection[int]:
    """Returns the keys of those that were tried: all, unless one hung or the time was over.

    until: on trio's clock; what has not begun by then is left. gives_up: all are recorded as failed, since so
    many have hung that to try the rest would take too long.
    """
    has_ended = trio.Event()
    engine.removing.update((removal.key, has_ended) for removal in batch)
    try:
        return await _try_each(engine, artifacts, batch, until, gives_up=gives_up)
    finally:
        for removal in batch:
            del engine.removing[removal.key]
        has_ended.set()


async def _try_each(
    engine: Engine, artifacts: ArtifactStore, batch: Sequence[Removal], until: float, *, gives_up: bool
) -> Collection[int]:
    removed: list[int] = []
    failed: dict[int, FailedRemoval] = {}
    for removal in batch:
        if trio.current_time() >= until:
            break
        error = HANGS if gives_up else await _delete(artifacts, removal.ref)
        if error is None:
            removed.append(removal.key)
        else:
            failed[removal.key] = FailedRemoval(removal.key, clean_text(error, ERROR_LENGTH))
        if error == HANGS and not gives_up:
            break
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
    return {*removed, *failed}


async def _delete(artifacts: ArtifactStore, ref: ArtifactRef) -> str | None:
    """Returns why the bytes could not be removed, None if they were. An artifact store may raise anything."""
    with trio.move_on_after(TRY_SECONDS):
        try:
            await artifacts.delete(ref)
        except Exception as error:
            return describe(error)
        except BaseException as error:
            await _raise_if_it_ends_the_task(error)
            return describe(error)
        return None
    return HANGS


async def _raise_if_it_ends_the_task(error: BaseException) -> None:
    """An interrupt is the program's; a Cancelled is raised only if this task is cancelled."""
    leaves = list(leaves_of(error))
    if any(is_a(leaf, KeyboardInterrupt, SystemExit, GeneratorExit) for leaf in leaves):
        raise error
    if any(is_a(leaf, trio.Cancelled) for leaf in leaves):
        await trio.lowlevel.checkpoint_if_cancelled()
