"""The crew: attempts that run, and the desk where they hand in their outcomes.

State: `holdings`, every lease in hand by token until its outcome is stored or dropped; `outbox`, outcomes to
store. Outcomes stay in memory while the store cannot be written, and are offered again.
"""

from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager

import trio

from trio_workflow.authoring.step_context import StepContext
from trio_workflow.model.changes import Claim
from trio_workflow.model.outcome import Completion, LeaseLost, Released, StoredBytes
from trio_workflow.points import POINTS, Point
from trio_workflow.runtime.attempt import Ended, run_attempt
from trio_workflow.runtime.engine import Engine
from trio_workflow.runtime.holding import Holding, Reason
from trio_workflow.runtime.services import StepServices
from trio_workflow.runtime.values import AsyncBool


class Crew:
    """bell: called when an attempt has ended. interrupted: called with a KeyboardInterrupt or SystemExit."""

    def __init__(
        self,
        engine: Engine,
        nursery: trio.Nursery,
        bell: Callable[[], None],
        interrupted: Callable[[BaseException], None],
    ) -> None:
        self._engine, self._nursery = engine, nursery
        self._bell, self._interrupted = bell, interrupted
        self.holdings: dict[str, Holding] = {}
        self.outbox: list[Completion] = []
        self.is_accepting = True  # whether new steps may still be started
        self.dropped = 0  # attempts that ended with nothing to store, since their lease was gone
        self._revoked_early: set[str] | None = None  # while a claim is under way
        self.running = 0  # executors that have not returned
        self.at_rest = AsyncBool(True)  # whether none runs: waited for, and costly to set

    @contextmanager
    def claiming(self) -> Generator[set[str]]:
        """Within the block tokens are gathered that are revoked before what they lease could be started."""
        self._revoked_early = early = set[str]()
        try:
            yield early
        finally:
            self._revoked_early = None

    def give_back(self, claim: Claim) -> None:
        """Do not start a claimed step: it is released with the next exchange."""
        self.outbox.append(Completion(claim.step_key, claim.token, Released()))
        self._bell()

    def start(self, claim: Claim, expires: float) -> None:
        """Run a claimed step. The slot was taken in its token's name."""
        holding = Holding(claim, expires)
        self.holdings[claim.token] = holding
        self.running += 1
        if self.running == 1:
            self.at_rest.value = False
        self._nursery.start_soon(self._attempt, holding, name=f"step {claim.run_id}/{claim.step_id}")

    @trio.lowlevel.enable_ki_protection
    async def _attempt(self, holding: Holding) -> None:
        """A mistake of ours in it ends the engine, not this task alone: somebody waits for its outcome."""
        engine, claim = self._engine, holding.claim
        try:
            context = holding.context = StepContext(claim, StepServices(engine, holding), engine.limits)
            ended = await run_attempt(holding, context, engine.registry, engine.config.max_lost_leases)
            self._hand_in(holding, ended, context.stored())
        except Exception as error:
            self._leave_slot(holding)
            self._engine.crash_from(error)

    def _hand_in(self, holding: Holding, ended: Ended, stored: tuple[StoredBytes, ...]) -> None:
        """User code has returned: its slot is free, and its outcome waits to be stored.

        An attempt whose lease is gone has no outcome. What it has put is reported with a release, which takes
        no effect on the step, since the token no longer holds.
        """
        POINTS.reach(Point.END, holding, ended)
        holding.context = None
        self._leave_slot(holding)
        if holding.reason is None and isinstance(ended.outcome, LeaseLost):
            self._engine.keeping.lost += 1  # noticed before the keeper could
        outcome = Released() if ended.outcome is None and stored else ended.outcome
        if outcome is None:
            del self.holdings[holding.token]
            self.dropped += 1
            self._engine.hub.ring()  # its slot may be what another session waits for
        else:
            claim = holding.claim
            self.outbox.append(Completion(claim.step_key, claim.token, outcome, stored, claim.run_key))
        if ended.interrupt is not None:
            self._interrupted(ended.interrupt)
        self._bell()

    def _leave_slot(self, holding: Holding) -> None:
        self._engine.slots.give_back(holding.claim.queue, holding.token)
        self.running -= 1
        if not self.running:
            self.at_rest.value = True

    def at_work(self) -> Collection[Holding]:
        """Holdings whose executors have not returned."""
        return [holding for holding in self.holdings.values() if not holding.is_done]

    def unexpired(self) -> frozenset[str]:
        """Tokens of the leases that by this process's clock still hold."""
        now = trio.current_time()
        return frozenset(token for token, holding in self.holdings.items() if holding.expires > now)

    def revoke(self, tokens: Collection[str]) -> None:
        """These leases are gone: cancel their executors, at once."""
        for token in tokens:
            holding = self.holdings.get(token)
            if holding is not None:
                holding.cancel(Reason.REVOKED)
            elif self._revoked_early is not None:
                self._revoked_early.add(token)

    def cancel_all(self, reason: Reason) -> None:
        for holding in self.at_work():
            holding.cancel(reason)

    def settle(self, tokens: Collection[str]) -> None:
        """Outcomes under these tokens were stored, or refused as stale: they are out of hand."""
        for token in tokens:
            self.holdings.pop(token, None)
