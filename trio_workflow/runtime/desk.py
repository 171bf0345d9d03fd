"""The desk: ended attempts in, claims out, in one commit. One exchange is one round of the scheduler.

Rule 1: from reckoning the free slots until they are taken nobody else of this runtime claims.
Rule 2: an outcome leaves the outbox only when the store has answered it, with an acceptance or as stale. One
that the store refuses for itself is replaced by a failure of its step, so that it cannot be offered for ever.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence

import attrs
import trio

from trio_workflow.errors import RuntimeClosedError, StoreLostError, StoreUnavailableError
from trio_workflow.model.changes import ClaimAnswer, ClaimRequest, StepMove
from trio_workflow.model.outcome import Completion, Failed, Failure, Success
from trio_workflow.model.payload import clean_text
from trio_workflow.model.status import AttemptOutcome, StepStatus
from trio_workflow.model.times import micros
from trio_workflow.runtime.crew import Crew
from trio_workflow.runtime.engine import Engine
from trio_workflow.store import Completed

logger = logging.getLogger("trio_workflow")


class Desk:
    """queues: only these, None for all. cap: how many may be started in all, None for no end.

    With a cap no queue starts more than its limit in all, either. freed: called when slots were freed that
    another session of this runtime may wait for.
    """

    def __init__(
        self,
        engine: Engine,
        crew: Crew,
        freed: Callable[[], None],
        queues: frozenset[str] | None = None,
        cap: int | None = None,
    ) -> None:
        self._engine, self._crew, self._queues, self._cap = engine, crew, queues, cap
        self._freed = freed
        self._limits: dict[str, int] = {}
        self._started: Counter[str] = Counter()  # by queue
        self.ends: Counter[str] = Counter()  # how attempts ended: words of CycleResult
        self.refreshed = 0
        self._dates = ClaimAnswer()  # the last answer, for the dates in it

    async def exchange(self, *, claim: bool) -> int:
        """Store what is in the outbox and start what may be started; answers how many were started.

        Raises StoreUnavailableError, and keeps the outbox, when the store cannot be written now.
        """
        claiming = self._engine.claiming
        try:
            claiming.acquire_nowait()  # without a round of the scheduler: the store is waited for in any case
        except trio.WouldBlock:
            await claiming.acquire()
        try:
            return await self._exchange(self._request() if claim else None)
        finally:
            claiming.release()

    async def _exchange(self, request: ClaimRequest | None) -> int:
        batch = tuple(self._crew.outbox)
        sent = trio.current_time()
        with self._crew.claiming() as revoked:
            done = await self._engine.store.exchange(batch, request)
            self._engine.publish()
            if isinstance(done.completed, Completed):
                self._account(batch, done.completed)
            started = 0
            # What was leased is ours, whatever became of the outcomes; after a crash nothing is started.
            if isinstance(done.answer, ClaimAnswer) and not self._engine.is_dead:
                started = self._start(done.answer, sent, revoked)
        if batch:
            self._freed()
        if isinstance(done.completed, Exception):
            await self._offer_again(batch, done.completed)
        if isinstance(done.answer, Exception):
            raise done.answer
        if isinstance(done.completed, Exception) and request is not None:
            self._freed()
            again = self._request()  # nobody has claimed yet what these have freed
            if again is not None:
                started += await self._exchange(again)
        return started

    def _request(self) -> ClaimRequest | None:
        """None when nothing may be started any more: what is claimed then would only be given back."""
        if not self._crew.is_accepting:
            return None
        engine, config = self._engine, self._engine.config
        free, by_queue = engine.slots.free, engine.slots.free_by_queue()
        if self._cap is not None:
            free = min(free, self._cap - self._started.total())
            for queue, started in self._started.items():
                by_queue[queue] = min(by_queue[queue], self._limits[queue] - started)
        return ClaimRequest(
            worker_id=config.worker_id,
            limit=free,
            kinds=engine.registry.kinds,
            default_queue=config.default_queue,
            lease=micros(config.lease_duration),
            max_lost=config.max_lost_leases,
            queues=self._queues,
            free=by_queue,
            spared=engine.hub.unexpired(),
            after=engine.went_first.get(self._queues, engine.begins_at),
            may_expire=engine.drift.may_expire,
        )

    async def _offer_again(self, batch: Sequence[Completion], error: Exception) -> None:
        if _is_about_the_store(error):
            raise error
        for completion in batch:
            await self._offer_alone(completion)

    async def _offer_alone(self, completion: Completion) -> None:
        """Something in the batch cannot be stored. What can, is; what cannot, fails its step."""
        answer = await self._answer_to(completion)
        refusal = answer
        for substitute in _substitutes(completion, refusal):
            if not isinstance(answer, Exception) or _is_about_the_store(answer):
                break
            answer = await self._answer_to(substitute)
        if isinstance(answer, Exception):
            raise answer
        self._account((completion,), answer)

    async def _answer_to(self, completion: Completion) -> Completed | Exception:
        return (await self._engine.store.exchange((completion,), None)).completed

    def _account(self, batch: Sequence[Completion], completed: Completed) -> None:
        del self._crew.outbox[: len(batch)]
        self._crew.settle([completion.token for completion in batch])
        self._engine.publish()
        self.ends["canceled"] += len(batch) - len(completed.ended)  # stale: the lease was gone
        self.ends.update(_word(move) for move in completed.changes.steps if move.outcome is not None)

    def _start(self, answer: ClaimAnswer, sent: float, revoked: Collection[str]) -> int:
        """Start what was leased, and answer how many; what must not, or cannot, start is given back."""
        engine = self._engine
        engine.slots.set_limits(answer.limits)
        self._limits.update(answer.limits)
        started = 0
        for claim in answer.claims:
            queue = claim.queue
            if claim.token in revoked:  # its run was canceled between the commit and now: it must not start
                continue
            if not self._crew.is_accepting or not engine.slots.take_if_free(queue, claim.token):
                self._crew.give_back(claim)
                continue
            self._crew.start(claim, sent + engine.config.lease_duration)
            self._started[queue] += 1
            started += 1
        if answer.claims:
            engine.went_first[self._queues] = answer.claims[0].queue
        self.refreshed += answer.refreshed
        self._dates = answer
        self._tell(answer)
        return started

    @property
    def due(self) -> float | None:
        """When, on trio's clock, something falls due by itself, as of the last look."""
        return self._on_trio_clock(self._dates.changes.due)

    @property
    def leases_end(self) -> int | None:
        """When the last lease in the store runs out, unless it is renewed. Microseconds."""
        return self._dates.leases_end

    def due_within(self, patience: int | None) -> float | None:
        """`due`, but leases are not waited for past `patience` (microseconds)."""
        due = self._dates.changes.due
        is_patient = due is not None and patience is not None and due <= patience
        return self._on_trio_clock(due if is_patient else self._dates.turns_at)

    def _on_trio_clock(self, due: int | None) -> float | None:
        if due is None:
            return None
        return trio.current_time() + max(0.0, (due - self._engine.clock.now()) / 1_000_000)

    def _tell(self, answer: ClaimAnswer) -> None:
        engine = self._engine
        for kind in answer.unclaimed_kinds:
            if kind in engine.registry.kinds:  # registered while the claim was under way
                continue
            if engine.tell_once("kind", kind):
                message = f'steps of kind "{kind}" wait for a process that has an executor for it'
                logger.warning(message)
                engine.board.note("kind_unclaimed", message, step_kind=kind)
        for queue in answer.held_back:
            if engine.slots.free > 0 and engine.tell_once("queue", queue):
                limit = engine.config.default_queue.max_workers
                logger.info(
                    'queue "%s" is not configured: default_queue lets it run %d at once; workers are free',
                    queue,
                    limit,
                )
        for queue in (queue for queue in answer.limited if queue not in engine.rate_limited):
            engine.board.note("queue_rate_limited", f'queue "{queue}" waits for its rate limit', queue=queue)
        engine.rate_limited = frozenset(answer.limited)


def _substitutes(completion: Completion, refusal: Completed | Exception) -> Iterator[Completion]:
    """What is stored in place of a completion that is refused for itself: the first that is not refused too.

    References that cannot be stored must not keep an outcome from being stored: their bytes stay.
    """
    if completion.stored and not isinstance(completion.outcome, Success):
        yield attrs.evolve(completion, stored=())
    message = clean_text(f"what the step produced cannot be stored: {refusal}")
    failed = attrs.evolve(completion, outcome=Failed(Failure(code="invalid_output", message=message)))
    yield failed
    if completion.stored:
        yield attrs.evolve(failed, stored=())


def _is_about_the_store(error: Exception) -> bool:
    return isinstance(error, StoreUnavailableError | StoreLostError | RuntimeClosedError)


def _word(move: StepMove) -> str:
    if move.outcome is AttemptOutcome.SUCCEEDED:
        return "succeeded"
    if move.outcome is AttemptOutcome.RELEASED:
        return "released"
    return "failed" if move.status is StepStatus.FAILED else "retried"
