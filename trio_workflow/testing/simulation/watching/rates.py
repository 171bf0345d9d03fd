"""Whether starts keep within the rate limits: a plain token bucket per queue, on the trio run's own time."""

from collections.abc import Callable

import trio

from trio_workflow.model.changes import ClaimAnswer
from trio_workflow.model.policy import RateLimit
from trio_workflow.testing.simulation.expected.oracle import Fact, Oracle
from trio_workflow.testing.simulation.world import Fault, World


class Rates:
    """A burst, then the rate: n claims in any window of length w mean n <= burst + rate * w.

    A wall clock that jumps forward may fill the bucket once, one that goes back never. Of several clocks that
    disagree nothing is promised, so that such worlds are not looked at.
    """

    def __init__(self, oracle: Oracle, world: World, tell: Callable[[str, str], None]) -> None:
        self._oracle, self._tell, self._default = oracle, tell, world.default_queue
        clocks = {Fault.CLOCK_FORWARD, Fault.CLOCK_BACK} & world.faults
        self._is_sound = world.processes == 1 or not clocks
        # Queue -> tokens, as of that time, under that limit: of one that was changed nothing is known.
        self._levels: dict[str, tuple[float, float, RateLimit]] = {}

    def take(self, fact: Fact) -> None:
        if fact.verb != "claim" or not self._is_sound:
            return
        answer = fact.answer
        assert isinstance(answer, ClaimAnswer)
        for claim in answer.claims:
            self._start(claim.queue, fact.time)

    def _start(self, queue: str, time: float) -> None:
        limit = self._limit(queue)
        if limit is None:
            return
        burst, rate = limit.burst, limit.rate_per_second
        tokens, at, before = self._levels.get(queue, (float(burst), time, limit))
        tokens = min(float(burst), tokens + (time - at) * rate) - 1.0 if before == limit else burst - 1.0
        self._levels[queue] = tokens, time, limit
        if tokens < -1e-3:
            self._tell("a queue started more than its rate", f"{queue}: {-tokens:.3f} too many")

    def may_start(self, queue: str) -> bool:
        """Whether the queue has a token now, with something to spare for rounding."""
        if queue not in self._levels:
            return True
        (tokens, at, before), limit = self._levels[queue], self._limit(queue)
        passed = trio.current_time() - at
        return limit is None or (before == limit and tokens + passed * limit.rate_per_second >= 1.01)

    def interval(self, queue: str) -> float:
        """Seconds between two tokens."""
        rate = self._limit(queue)
        return 0.0 if rate is None else 1.0 / rate.rate_per_second

    def _limit(self, queue: str) -> RateLimit | None:
        return self._oracle.queues.get(queue, self._default).rate_limit

    def clock_went_forward(self) -> None:
        self._levels.clear()
