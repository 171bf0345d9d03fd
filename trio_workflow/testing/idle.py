"""run_until_idle: work until only help from outside could change anything."""

from trio_workflow.runtime.runtime import Runtime, engine_of
from trio_workflow.runtime.workers import CycleResult, work_until_idle


async def run_until_idle(rt: Runtime) -> CycleResult:
    """Work until nothing is ready (of the kinds it has) and nothing will be without help from outside.

    Dates are waited out: backoff, delays, rate limits, and the leases of runtimes that died. So is what
    `start_workers` or `run_once` of the same runtime have in hand. Not waited for: steps of kinds it does not
    have, paused queues, and what another runtime that lives has in hand. It never touches the clock: under a
    MockClock without autojump somebody else must move the time, or a date never comes. Answers what it did
    itself. Raises RuntimeClosedError, RuntimeCrashedError.
    """
    engine = engine_of(rt)
    engine.check_open()
    return await work_until_idle(engine)
