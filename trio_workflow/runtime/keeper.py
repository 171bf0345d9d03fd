"""The keeper: a sibling of the attempts, in the workers' nursery, that keeps their leases.

Every third of the lease duration it renews all leases in hand with one write. A lease that the store says is
gone cancels its executor at once; one that could not be renewed in time cancels it when it runs out, before
another worker may start the step (fail closed).
"""

import logging
from collections.abc import Callable, Collection

import attrs
import trio

from trio_workflow.errors import StoreUnavailableError
from trio_workflow.model.changes import Renewal
from trio_workflow.model.times import micros
from trio_workflow.runtime.holding import MARGIN, Holding, Reason
from trio_workflow.store import Store

logger = logging.getLogger("trio_workflow")


@attrs.define
class KeeperStatistics:
    renewals: int = 0
    lost: int = 0


class Keeper:
    """in_hand: answers the holdings whose executors run."""

    def __init__(
        self,
        store: Store,
        lease: float,
        in_hand: Callable[[], Collection[Holding]],
        statistics: KeeperStatistics,
    ) -> None:
        self._store, self._lease = store, lease
        self._in_hand, self._statistics = in_hand, statistics

    async def renew_always(self) -> None:
        """With nothing in hand the store is asked all the same, so that a lost file is noticed in time."""
        while True:
            pause = await self.renew_once()
            await trio.sleep(pause)

    async def renew_once(self) -> float:
        """Renew what is in hand; answers the seconds until the next round."""
        holdings = [holding for holding in self._in_hand() if holding.is_kept]
        renewals = [
            Renewal(step_key=h.claim.step_key, token=h.token, progress=h.take_progress()) for h in holdings
        ]
        sent = trio.current_time()
        try:
            live = await self._store.renew(renewals, micros(self._lease)) if renewals else frozenset[str]()
            if not renewals:
                await self._store.holds(())
        except StoreUnavailableError as error:
            if renewals:
                logger.warning("leases could not be renewed: %s", error)
            for holding, renewal in zip(holdings, renewals, strict=True):
                holding.put_back_progress(renewal.progress)
            return self._lease / 12
        for holding in holdings:
            is_live = holding.token in live
            if is_live and holding.extend(sent + self._lease):
                self._statistics.renewals += 1
            elif not holding.is_done:
                self._statistics.lost += 1
                holding.cancel(Reason.EXPIRED if is_live else Reason.REVOKED)
        return max(0.0, sent + self._lease / 3 - trio.current_time())

    async def watch_always(self) -> None:
        """Cancel what runs out. Later leases run out later, so that a whole lease is never slept too long."""
        margin = min(MARGIN, self._lease / 100)
        while True:
            now = trio.current_time()
            for holding in self._in_hand():
                if holding.expires - margin <= now and holding.reason is None:
                    self._statistics.lost += 1
                    holding.cancel(Reason.EXPIRED)
            expiries = [holding.expires for holding in self._in_hand() if holding.reason is None]
            await trio.sleep_until(min([*expiries, now + self._lease]) - margin)
