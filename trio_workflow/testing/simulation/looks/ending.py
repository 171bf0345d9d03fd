"""What must hold when everything has ended: asked through the public surface."""

import hashlib
import os
from contextlib import suppress

import trio

from trio_workflow.errors import ArtifactNotFoundError, StoreError
from trio_workflow.model.outcome import ArtifactWrite
from trio_workflow.model.status import AttemptOutcome
from trio_workflow.runtime.runtime import Runtime, engine_of
from trio_workflow.testing.simulation.expected.runs import SUCCEEDED, ExpectedStep, all_steps
from trio_workflow.testing.simulation.looks.reading import look_at_queues, look_at_run, look_at_runs
from trio_workflow.testing.simulation.stage import Stage
from trio_workflow.testing.simulation.world import Feature

MOST_BYTES = 2_500_000
"""More than database and log ever have where that is copied back as often as it should be."""


async def look_at_the_end(stage: Stage, rt: Runtime) -> None:
    """Compare what a user sees with what is expected."""
    await trio.testing.wait_all_tasks_blocked()
    tell = stage.history.tell
    for violation in await rt.check():
        tell(f"check: {violation.invariant}", f"{violation.subject} {violation.message}")
    if rt.statistics().running:
        tell("slots are taken although nothing runs", f"{rt.statistics()}")
    for queue in await rt.queues():
        if queue.running or queue.ready:
            tell("a queue counts steps although all have ended", f"{queue}")
    looks = [look_at_queues(stage, rt), look_at_runs(stage, rt)]
    if stage.oracle.runs:
        some = stage.world.random("look").choice(list(stage.oracle.runs.values()))
        looks.append(look_at_run(rt, some))
    for look in looks:
        for difference in await look:
            tell("something else was read than is stored", difference)
    size = os.stat(stage.store).st_size + os.stat(f"{stage.store}-wal").st_size
    if size > MOST_BYTES:
        tell("the log is not copied into the file", f"{size} bytes")
    for step in all_steps(stage.oracle.runs.values()):
        if AttemptOutcome.LEASE_LOST in step.ends and stage.world.keeps_leases:
            tell("a lease was lost although nothing disturbed it", step.name)
        if step.status is SUCCEEDED:
            await _look_at_artifacts(stage, rt, step)
    stage.oracle.prunes.setdefault("last", set()).add(1e9)
    await rt.prune(1e9)  # no run is as old; but what is left of deleted ones goes
    if not stage.script.is_users:  # attempts of theirs may write the same
        await _look_for_deleted(stage, rt)
    await stage.script.at_the_end(rt, stage)


async def _look_at_artifacts(stage: Stage, rt: Runtime, step: ExpectedStep) -> None:
    """Every artifact's row has its bytes. Of several under one name the last is the one that users get."""
    for write in {write.name: write for write in step.artifacts}.values():
        try:
            await _look_at_artifact(stage, rt, step, write)
        except (ArtifactNotFoundError, StoreError) as error:
            stage.history.tell("an artifact that is stored cannot be read", f"{step.name}: {error}")


async def _look_at_artifact(stage: Stage, rt: Runtime, step: ExpectedStep, write: ArtifactWrite) -> None:
    async with rt.open_artifact(step.run.id, step.spec.id, write.name) as reader:
        body = await reader.read()
    wanted = (write.size, write.sha256)
    found = (len(body), hashlib.sha256(body).hexdigest())
    told = (reader.ref.size, reader.ref.sha256)
    if not (wanted == found == told and stage.script.wrote(step, body)):
        stage.history.tell(
            "an artifact holds other bytes than its step wrote", f"{step.name} {write.name}: {body[:40]!r}"
        )


async def _look_for_deleted(stage: Stage, rt: Runtime) -> None:
    """The bytes of deleted runs are gone. Where no two attempts write the same, nobody has put them again."""
    if stage.world.has(Feature.SAME_BYTES):
        return
    for message, refs in (
        ("bytes are left of a run that was deleted", stage.oracle.deleted_refs),
        ("bytes are left of an attempt that did not succeed", stage.oracle.unused_refs()),
    ):
        for ref in refs:
            with suppress(ArtifactNotFoundError):
                async with engine_of(rt).artifacts.open(ref):
                    stage.history.tell(message, ref.id)
