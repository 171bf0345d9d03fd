"""What must hold when everything has ended: asked through the public surface."""

import hashlib
import os

import trio

from trio_workflow.model.status import AttemptOutcome
from trio_workflow.runtime.runtime import Runtime
from trio_workflow.testing.simulation.expected import SUCCEEDED, ExpectedStep, all_steps
from trio_workflow.testing.simulation.listing import differences_for_users
from trio_workflow.testing.simulation.stage import Stage

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
    size = os.stat(stage.store).st_size + os.stat(f"{stage.store}-wal").st_size
    if size > MOST_BYTES:
        tell("the log is not copied into the file", f"{size} bytes")
    for run in stage.oracle.runs.values():
        for seen in await differences_for_users(rt, run):
            tell("a user does not see what is stored", seen)
    for step in all_steps(stage.oracle.runs.values()):
        if AttemptOutcome.LEASE_LOST in step.ends and stage.world.keeps_leases:
            tell("a lease was lost although nothing disturbed it", step.name)
        if step.status is SUCCEEDED:
            await _look_at_artifacts(stage, rt, step)
    stage.oracle.prunes.setdefault("last", set()).add(1e9)
    await rt.prune(1e9)  # no run is as old; but what is left of deleted ones goes
    try:
        await stage.script.at_the_end(rt)
    except Exception as error:
        tell("your check", f"{type(error).__name__}: {error}")


async def _look_at_artifacts(stage: Stage, rt: Runtime, step: ExpectedStep) -> None:
    for name in step.artifacts:
        async with rt.open_artifact(step.run.id, step.spec.id, name) as reader:
            body = await reader.read()
        is_right = hashlib.sha256(body).hexdigest() == step.artifacts[name] and stage.script.wrote(step, body)
        if not is_right:
            stage.history.tell("an artifact holds other bytes than its step wrote", f"{step.name} {name}")
