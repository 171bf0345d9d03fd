"""Workers: sessions that go on, or make one cycle."""

import logging
import math
from collections.abc import AsyncGenerator, Collection, Generator
from contextlib import asynccontextmanager, contextmanager

import attrs
import trio

from trio_workflow.errors import (
    ConfigError,
    RuntimeClosedError,
    StoreLostError,
    StoreUnavailableError,
    WorkflowError,
)
from trio_workflow.model.payload import require_name
from trio_workflow.runtime.config import seconds
from trio_workflow.runtime.engine import Engine
from trio_workflow.runtime.housekeeping import prune_rows, remove_pending
from trio_workflow.runtime.session import Session

logger = logging.getLogger("trio_workflow")


@attrs.frozen(kw_only=True)
class CycleResult:
    """What one cycle did. refreshed: expired leases taken back. processed: attempts that ended in it, as
    succeeded, retried (will run again), failed, canceled (the lease was gone), released (given back)."""

    refreshed: int
    processed: int
    succeeded: int
    retried: int
    failed: int
    canceled: int
    released: int


class Workers:
    """At most one session that goes on, and any number of cycles beside it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_running = False  # the session that goes on
        self._works: list[_Work] = []  # all that `drain` has to wait for

    async def run(
        self,
        queues: Collection[str] | None,
        poll_interval: float | None,
        max_cycles: int | None,
        task_status: trio.TaskStatus[None],
    ) -> None:
        if self._is_running:
            raise WorkflowError("start_workers is already running in this runtime: drain it first")
        chosen = _queue_names(queues)
        interval = self._engine.config.poll_interval
        if poll_interval is not None:
            interval = seconds("start_workers poll_interval", poll_interval)
        if max_cycles is not None and max_cycles < 1:
            raise ConfigError(f"start_workers max_cycles must be a whole number >= 1, not {max_cycles!r}")
        with self._work() as work, self._engine.hears_of_others(interval):
            self._is_running = True
            try:
                await self._run(work, chosen, interval, max_cycles, task_status)
            finally:
                self._is_running = False  # before drain returns: it may be started again then

    async def _run(
        self,
        work: "_Work",
        queues: frozenset[str] | None,
        interval: float,
        max_cycles: int | None,
        task_status: trio.TaskStatus[None],
    ) -> None:
        async with _work_place(self._engine, queues) as (session, nursery):
            work.session = session
            retention = trio.CancelScope()
            nursery.start_soon(_retain, self._engine, retention)
            await session.run(lambda: _work(session, interval, max_cycles), task_status.started)
            retention.cancel()

    async def cycle(self) -> CycleResult:
        engine = self._engine
        failure: list[StoreUnavailableError] = []
        with self._work() as work, engine.hears_of_others(engine.config.poll_interval):
            async with _work_place(engine, cap=engine.config.max_workers) as (session, _):
                work.session = session
                await session.run(lambda: _one_cycle(session, failure), lambda: None)
                await _remove_if_due(engine)
        if failure:
            raise failure[0]
        return _result(engine, session)

    async def drain(self) -> None:
        """Nothing new is started; returns when what goes on is over, and other work may be started."""
        going_on = list(self._works)
        for work in going_on:
            if work.session is not None:
                work.session.stop_accepting()
        for work in going_on:
            await work.has_ended.wait()
        await trio.lowlevel.checkpoint()

    @contextmanager
    def _work(self) -> Generator["_Work"]:
        work = _Work()
        self._works.append(work)
        try:
            yield work
        finally:
            self._works.remove(work)
            work.has_ended.set()


@attrs.define(eq=False)
class _Work:
    """A session, and whether all that it started is over."""

    session: Session | None = None
    has_ended: trio.Event = attrs.field(factory=trio.Event)


async def _work(session: Session, interval: float, max_cycles: int | None) -> None:
    """The scheduler of a session that goes on: store, claim, wait for the bell, and again."""
    looks = 0
    while session.is_accepting or not session.is_idle:
        session.bell.value = False  # before looking, so that what changes from now on is looked at again
        if session.is_accepting or session.crew.outbox:
            claim = session.is_accepting
            if await session.exchange(claim=claim) is None:
                continue
            looks += claim
        if session.is_accepting and looks == max_cycles:
            session.stop_accepting()
        if session.crew.outbox or (not session.is_accepting and session.is_idle):
            continue
        due = session.desk.due if session.is_accepting else None
        if max_cycles is not None and session.is_accepting:
            due = min(math.inf if due is None else due, trio.current_time() + interval)
        await session.wait_for_bell(due)


async def _one_cycle(session: Session, failure: list[StoreUnavailableError]) -> None:
    """The scheduler of one cycle: until what it started has ended and nothing more may be started."""
    while True:
        session.bell.value = False
        try:
            started = await session.exchange(claim=session.is_accepting, patient=False)
        except StoreUnavailableError as error:
            failure.append(error)
            return
        if started is None or session.crew.outbox:
            continue
        if not started and session.is_idle:
            return
        await session.wait_for_bell(None)


async def _retain(engine: Engine, scope: trio.CancelScope) -> None:
    """Ended runs, and bytes of artifacts, are kept for no longer than they should be."""
    keep = engine.config.keep_finished
    with scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_remove_forever, engine)
            if keep is not None:
                nursery.start_soon(_prune_always, engine, keep)


async def _prune_always(engine: Engine, keep: float) -> None:
    while True:
        try:
            if await prune_rows(engine, keep):
                engine.removal_requested.value = True
        except StoreLostError as error:
            engine.crash_from(error)
            return
        except Exception as error:
            logger.warning("ended runs could not be removed: %s", error)
        await trio.sleep(min(60.0, max(1.0, keep / 10)))


async def _remove_forever(engine: Engine) -> None:
    """Try to remove the bytes that are due. While nothing waits to be removed, this waits for no date."""
    while not engine.is_closed:
        await remove_pending(engine)
        with trio.CancelScope(deadline=engine.next_removal):
            await engine.removal_requested.wait_value(True)


async def _remove_if_due(engine: Engine) -> None:
    """At the end of a cycle: dates that lie ahead are left to a later one."""
    if engine.removal_requested.value or trio.current_time() >= engine.next_removal:
        await remove_pending(engine)


async def work_until_idle(engine: Engine) -> CycleResult:
    """For tests: work until nothing is in hand of this runtime and nothing will be without help from outside.

    What other sessions of the runtime have in hand is waited for. Raises what a cycle raises, but a store
    that cannot be written is waited for.
    """
    with engine.hears_of_others(engine.config.poll_interval):
        async with _work_place(engine) as (session, _):
            await session.run(lambda: _until_idle(engine, session), lambda: None)
            await _remove_if_due(engine)
    return _result(engine, session)


async def _until_idle(engine: Engine, session: Session) -> None:
    """The scheduler of work_until_idle: until nothing is in hand and there is no date to wait for.

    A lease in the store may be a dead runtime's, or a live one's, which is renewed for ever. Those of the
    dead run out by the date that was the last when this runtime came to rest: past it none is waited for.
    """
    patience: int | None = None
    while session.is_accepting or not session.is_idle:
        session.bell.value = False
        refreshed = session.desk.refreshed
        started = await session.exchange(claim=session.is_accepting)
        if started is None or session.crew.outbox:
            continue
        if started or session.desk.refreshed > refreshed:
            patience = None
        if not engine.hub.is_idle:
            await session.wait_for_bell(session.desk.due)
            continue
        patience = session.desk.leases_end if patience is None else patience
        due = session.desk.due_within(patience)
        if due is None:
            return
        await session.wait_for_bell(due)


def _result(engine: Engine, session: Session) -> CycleResult:
    if engine.is_closed:
        raise RuntimeClosedError("the workflow runtime was closed while it was working")
    ends = session.desk.ends
    ends["canceled"] += session.crew.dropped
    return CycleResult(
        refreshed=session.desk.refreshed,
        processed=ends.total(),
        succeeded=ends["succeeded"],
        retried=ends["retried"],
        failed=ends["failed"],
        canceled=ends["canceled"],
        released=ends["released"],
    )


@asynccontextmanager
@trio.lowlevel.enable_ki_protection
async def _work_place(
    engine: Engine, queues: frozenset[str] | None = None, cap: int | None = None
) -> AsyncGenerator[tuple[Session, trio.Nursery]]:
    """A session and the nursery it works in. Leaving it raises what ended the session: an interrupt, also
    while the block is being cancelled, since nobody else would hear of it; or a crash."""
    interrupt: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            session = Session(engine, nursery, queues, cap)
            try:
                yield session, nursery
            finally:
                interrupt = session.interrupt
    finally:
        if interrupt is not None:
            raise interrupt
    if engine.crash is not None:
        engine.check_open()


def _queue_names(queues: Collection[str] | None) -> frozenset[str] | None:
    if queues is None:
        return None
    if isinstance(queues, str):
        raise ConfigError(f"start_workers queues must be a collection of names, not the text {queues!r}")
    return frozenset(require_name("start_workers queue", queue) for queue in queues)
