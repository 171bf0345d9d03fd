"""Removing runs on purpose, in a worker's process, so that the audit knows which runs may be missing.

Rule: a run is noted before it is removed, and only after it was seen in the store. One that was lost before
is never noted, so that no removal explains its absence.
"""

import os
import random
import time
from contextlib import suppress

from trio_workflow import RunNotFoundError, Runtime, WorkflowRun

from . import journal
from .journal import Journal
from .program import LEASE, Site
from .workload import BULK

AGE = 5 * LEASE
"""Seconds since the end of a run before which it is not removed.

Whoever waits for it has learned of its end, and a commit that its process was stopped in is done.
"""

DELETED_AT_ONCE = 3

BULK_BYTES = 4_000_000


def removed_runs(site: Site) -> frozenset[str]:
    """The runs that may be missing."""
    entries = journal.read(site.logs / journal.REMOVALS)
    return frozenset(run_id for entry in entries for run_id in entry.get("runs", ()))


async def remove_runs(rt: Runtime, log: Journal) -> None:
    """Prune, or delete some runs. log: of the removals."""
    await make_file_shorter(rt, log)
    cutoff = time.time() - AGE
    old = await _ended_before(rt, cutoff)
    if random.random() < 0.5:
        log.note("prune", runs=[run.id for run in old])
        await rt.prune(time.time() - cutoff)  # the date is computed at once, before it waits for anything
        return
    for run in random.sample(old, min(len(old), DELETED_AT_ONCE)):
        log.note("delete", runs=[run.id])
        with suppress(RunNotFoundError):  # another worker was first
            await rt.delete_run(run.id)


async def make_file_shorter(rt: Runtime, log: Journal) -> None:
    """A large run is started, canceled and deleted, and the space that it took is given back.

    It goes beyond the reserve of pages that the engine keeps, so that the file is cut.
    """
    run_id = f"bulk-{os.getpid()}-{time.monotonic_ns()}"
    log.note("bulk", runs=[run_id])
    await rt.start_run(BULK, "x" * BULK_BYTES, run_id=run_id)
    await rt.cancel_run(run_id)
    await rt.delete_run(run_id)


async def _ended_before(rt: Runtime, cutoff: float) -> list[WorkflowRun]:
    found: list[WorkflowRun] = []
    page = await rt.runs(limit=100)
    while True:
        found += [
            run for run in page if run.finished_at is not None and run.finished_at.timestamp() <= cutoff
        ]
        if page.next is None:
            return found
        page = await rt.runs(limit=100, after=page.next)
