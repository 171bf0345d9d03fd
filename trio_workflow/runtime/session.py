"""A session of work: the nursery of attempts, keeper and scheduler, from its start to its orderly end.

The tasks of a session are shielded from whoever cancels the block it runs in. The main task is not: it
notices, and winds the session down: executors get their grace and are cancelled, and as soon as user code has
returned, which is waited for without limit, the scheduler stores what they handed in or gave back.
"""

from collections.abc import Awaitable, Callable, Collection

import trio

from trio_workflow.errors import RuntimeClosedError, StoreUnavailableError
from trio_workflow.runtime.crew import Crew
from trio_workflow.runtime.desk import Desk
from trio_workflow.runtime.engine import Engine
from trio_workflow.runtime.holding import Reason
from trio_workflow.runtime.keeper import Keeper
from trio_workflow.runtime.values import AsyncBool

LAST_WRITE = 10.0
"""Seconds that giving steps back may take when a session is stopped; after that their leases run out."""

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between offers to a store that cannot be written."""


class Session:
    """is_accepting: whether new steps may still be started."""

    def __init__(
        self,
        engine: Engine,
        nursery: trio.Nursery,
        queues: frozenset[str] | None = None,
        cap: int | None = None,
    ) -> None:
        self.interrupt: BaseException | None = None
        self.bell = AsyncBool(False)
        self.crew = Crew(engine, nursery, self.ring, self._interrupted)
        self.desk = Desk(engine, self.crew, lambda: engine.hub.ring(but=self), queues, cap)
        self._engine, self._nursery = engine, nursery
        self._scopes: list[trio.CancelScope] = []
        self._stop = trio.Event()
        self._has_scheduled = trio.Event()
        self._pause = FIRST_PAUSE
        self._was_busy = False  # when the store last answered

    def ring(self) -> None:
        """There may be something to do."""
        self.bell.value = True

    def revoke(self, tokens: Collection[str]) -> None:
        self.crew.revoke(tokens)

    def unexpired(self) -> Collection[str]:
        return self.crew.unexpired()

    def leases(self) -> Collection[tuple[int, str]]:
        return [(holding.claim.step_key, holding.token) for holding in self.crew.at_work()]

    def stop_accepting(self) -> None:
        """Start nothing new."""
        self.crew.is_accepting = False
        self.ring()

    @property
    def is_accepting(self) -> bool:
        return self.crew.is_accepting

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in hand: no executor runs, and no outcome waits to be stored."""
        return not self.crew.running and not self.crew.outbox

    # Without protection an interrupt could come between two lines of the set-up, or of the orderly end.
    @trio.lowlevel.enable_ki_protection
    async def run(self, scheduler: Callable[[], Awaitable[None]], started: Callable[[], None]) -> None:
        """Work until the scheduler returns, the engine ends, or the surrounding block is cancelled."""
        engine = self._engine
        keeper = Keeper(engine.store, engine.config.lease_duration, self.crew.at_work, engine.keeping)
        engine.hub.join(self)
        engine.on_end(self._end)
        engine.sessions.value += 1
        try:
            self._nursery.start_soon(self._guard, keeper.renew_always)
            self._nursery.start_soon(self._guard, keeper.watch_always)
            self._nursery.start_soon(self._schedule, scheduler)
            started()
            await self._stop.wait()
        finally:
            await self._wind_down_whatever_comes()
            engine.hub.leave(self)
            engine.off_end(self._end)
            engine.sessions.value -= 1

    async def _wind_down_whatever_comes(self) -> None:
        """An interrupt may come at each wait, also a shielded one. It ends the grace; the block raises it."""
        while True:
            try:
                with trio.CancelScope(shield=True):
                    await self._wind_down()
                return
            except KeyboardInterrupt as error:
                self.interrupt = self.interrupt or error

    @trio.lowlevel.enable_ki_protection
    async def _guard(self, task: Callable[[], Awaitable[None]]) -> None:
        """Run a task of ours, shielded; its error is the engine's."""
        with trio.CancelScope(shield=True) as scope:
            self._scopes.append(scope)
            try:
                await task()
            except RuntimeClosedError:  # the engine was killed: it says so itself
                self._stop.set()
            except Exception as error:
                self._engine.crash_from(error)

    async def _schedule(self, scheduler: Callable[[], Awaitable[None]]) -> None:
        await self._guard(scheduler)
        self._has_scheduled.set()
        self._stop.set()

    def _interrupted(self, interrupt: BaseException) -> None:
        self.interrupt = self.interrupt or interrupt
        self._end()

    def _end(self) -> None:
        self.stop_accepting()
        if self._engine.is_dead:  # no executor may get another step
            self.crew.cancel_all(Reason.CRASHED)
        self._stop.set()

    async def _wind_down(self) -> None:
        self.stop_accepting()
        if not self._engine.is_dead and self.interrupt is None:
            with trio.move_on_after(self._engine.config.shutdown_grace):
                await self.crew.at_rest.wait_value(True)
        self.crew.cancel_all(Reason.CRASHED if self._engine.is_dead else Reason.STOPPED)
        await self.crew.at_rest.wait_value(True)
        if not self._engine.is_dead:
            with trio.move_on_after(LAST_WRITE):
                await self._has_scheduled.wait()
        for scope in self._scopes:
            scope.cancel()

    # For schedulers.

    async def exchange(self, *, claim: bool, patient: bool = True) -> int | None:
        """One round of the desk. A store that cannot be written is waited for, and None is answered.

        Not patient: StoreUnavailableError is raised, unless something is in hand.
        """
        try:
            started = await self.desk.exchange(claim=claim)
        except StoreUnavailableError as error:
            self._engine.note_store(error)
            if not patient and self.is_idle:
                raise
            await trio.sleep(self._pause)
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
            return None
        self._engine.note_store(None)
        self._pause = FIRST_PAUSE
        if self._was_busy and self.is_idle:
            self._engine.hub.ring(but=self)  # who waits until nothing is in hand may look
        self._was_busy = not self.is_idle
        return started

    async def wait_for_bell(self, until: float | None) -> None:
        """Wait until something may have to be done, at the latest until then on trio's clock."""
        with trio.CancelScope(deadline=float("inf") if until is None else until):
            await self.bell.wait_value(True)
