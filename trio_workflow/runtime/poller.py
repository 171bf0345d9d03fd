"""Noticing what other processes did, for workers and for those who wait for runs."""

import logging
import math

import trio

from trio_workflow.errors import StoreUnavailableError
from trio_workflow.runtime.engine import Engine

logger = logging.getLogger("trio_workflow")


async def poll_always(engine: Engine) -> None:
    """While somebody is interested, ask whether another process has committed, and look at what it means."""
    can_look = True  # a store that cannot be looked at is told once, not at every poll
    has_news = False  # kept until they were looked at
    last = trio.current_time()
    while True:
        # Counted from the last poll: those who begin to wait must not put it off, however many they are.
        due = last + min(engine.poll_intervals, default=math.inf)
        engine.interest.value = False
        with trio.CancelScope(deadline=due):
            await engine.interest.wait_value(True)
            continue
        last = trio.current_time()
        try:
            has_news = await engine.store.poll() or has_news
            if has_news:
                await refresh(engine)
            has_news = False
            can_look = True
        except StoreUnavailableError as error:
            if can_look:
                logger.warning("other processes' work cannot be looked at: %s", error)
            can_look = False


async def refresh(engine: Engine) -> None:
    """Another process has committed: what we hold or wait for may have changed."""
    limits = await engine.store.queue_limits()
    engine.slots.set_limits({queue: config.max_workers for queue, config in limits.items()})
    leases = engine.hub.leases()
    if leases:
        live = await engine.store.holds(leases)
        engine.hub.revoke([token for _, token in leases if token not in live])
    awaited = engine.hub.awaited_runs
    if awaited:
        engine.hub.note_states(await engine.store.reads.run_states(awaited), awaited)
    engine.hub.ring()
