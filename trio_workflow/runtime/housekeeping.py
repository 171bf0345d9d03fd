"""Removing ended runs: first out of sight, then bytes, then rows, then the space they took in the file."""

from trio_workflow.model.artifact import ArtifactRef
from trio_workflow.model.times import micros
from trio_workflow.runtime.engine import Engine

PRUNED_AT_ONCE = 100  # runs per transaction


async def delete_run(engine: Engine, run_id: str) -> None:
    await engine.store.delete_run(run_id)
    await take_out_trash(engine)


async def prune(engine: Engine, older_than: float) -> int:
    """Remove the runs that ended that many seconds ago or more; answers how many."""
    before = engine.clock.now() - micros(older_than)
    total = 0
    while found := await engine.store.prune(before, PRUNED_AT_ONCE):
        total += found
        await take_out_trash(engine)
    if not total:
        await take_out_trash(engine)  # what a process that was killed had left behind
    return total


async def take_out_trash(engine: Engine) -> None:
    """Bytes go before the rows that name them, so that a kill in between loses track of none.

    One task at a time: each transaction is short, but those of several would be done in one commit.
    """
    async with engine.cleaning:
        more = True
        while more:
            keys: list[int] = []
            for key, ref in await engine.store.trashed():
                await _delete_bytes(engine, ref)
                keys.append(key)
            more = await engine.store.sweep(keys)
        while await engine.store.shrink():
            pass


async def _delete_bytes(engine: Engine, ref: ArtifactRef | None) -> None:
    """A runtime without an artifact store leaves the bytes to whoever owns that store."""
    if ref is not None and engine.config.artifact_store is not None:
        await engine.config.artifact_store.delete(ref)
