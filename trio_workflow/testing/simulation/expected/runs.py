"""What every run and step should be: a second, plain engine, without SQL, indexes or counters.

Rule 1: nothing here is shared with the code it predicts, but for the words of `model` and the table of moves.
Rule 2: a step that never was ready is what its dependencies make it, reckoned anew after every command; so a
failure's cascade, its retry and a late dependency are one function, `ExpectedRun.settle`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import attrs

from trio_workflow.model.outcome import ArtifactWrite, Failure, Success
from trio_workflow.model.plan import RunSpec, StepSpec
from trio_workflow.model.policy import RetryPolicy
from trio_workflow.model.status import AttemptOutcome, RunStatus, StepStatus
from trio_workflow.model.times import micros
from trio_workflow.rules.transitions import StepEvent, after
from trio_workflow.testing.simulation.expected.turns import Turns

PENDING, READY, RUNNING = StepStatus.PENDING, StepStatus.READY, StepStatus.RUNNING
SUCCEEDED, FAILED, CANCELED = StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.CANCELED
DEAD = (FAILED, CANCELED)


@attrs.define(eq=False)
class ExpectedAttempt:
    """A claim, and how it ended. error: the code of its failure. Times are microseconds."""

    worker: str
    started_at: int
    finished_at: int | None = None
    outcome: AttemptOutcome | None = None
    error: str | None = None


@attrs.define(eq=False)
class ExpectedStep:
    """needs: ids of dependencies -> required. was_ready: it no longer follows its dependencies."""

    run: "ExpectedRun"
    spec: StepSpec
    needs: dict[str, bool]
    created_at: int
    status: StepStatus = PENDING
    was_ready: bool = False
    ready_at: int = 0
    is_due: bool = False  # its date has come, by the clock of somebody who claimed
    attempt: int = 0
    charged: int = 0
    lost: int = 0
    token: str | None = None
    expires_at: int = 0
    attempts: list[ExpectedAttempt] = attrs.field(factory=list[ExpectedAttempt])
    finished_at: int | None = None
    product: Success | None = None
    emitted: list[str] = attrs.field(factory=list[str])
    saved: str | None = None
    progress: str | None = None
    error: str | None = None  # the code of the last failure
    failure: Failure | None = None  # the same in whole, if an executor told it

    @property
    def name(self) -> str:
        return f"{self.run.id}/{self.spec.id}"

    @property
    def ends(self) -> list[AttemptOutcome | None]:
        return [attempt.outcome for attempt in self.attempts]

    @property
    def started_at(self) -> int | None:
        return self.attempts[0].started_at if self.attempts else None

    @property
    def data(self) -> str | None:
        return None if self.product is None else self.product.data

    @property
    def artifacts(self) -> tuple[ArtifactWrite, ...]:
        return () if self.product is None else self.product.artifacts

    @property
    def unmet(self) -> int:
        return sum(not self.run.steps[step_id].status.is_final for step_id in self.needs)

    def move(self, event: StepEvent, now: int) -> None:
        self.run.moves[self.status, event] += 1
        self.status = after(self.status, event)
        self.finished_at = now if self.status.is_final else None

    def end(self, outcome: AttemptOutcome, event: StepEvent, now: int, error: str | None = None) -> None:
        """The attempt under way ends. error: the code of what it failed of."""
        self.move(event, now)
        last = self.attempts[-1]
        last.finished_at, last.outcome, last.error = now, outcome, error
        if error is not None:
            self.error, self.failure = error, None
        self.token = None

    def succeed(self, product: Success, emitted: list[str], now: int) -> None:
        self.end(AttemptOutcome.SUCCEEDED, StepEvent.SUCCEED, now)
        self.product, self.emitted, self.error, self.failure = product, emitted, None, None

    def be_ready(self, event: StepEvent, now: int, delay: int = 0) -> None:
        self.move(event, now)
        self.was_ready = True
        self.wait(now, delay)

    def wait(self, now: int, delay: int) -> None:
        self.ready_at, self.is_due = now + delay, False
        if not delay:
            self.fall_due()

    def fall_due(self) -> None:
        self.is_due = True
        self.run.turns.place(self.run.id, self.spec.queue)

    def lease(self, token: str, worker: str, now: int, duration: int) -> None:
        self.move(StepEvent.CLAIM, now)
        self.attempt += 1
        self.attempts.append(ExpectedAttempt(worker, now))
        self.token, self.expires_at, self.progress = token, now + duration, None

    def lose(self, max_lost: int, now: int) -> None:
        self.lost += 1
        is_over = self.lost >= max_lost
        event = StepEvent.ABANDON if is_over else StepEvent.EXPIRE
        self.end(AttemptOutcome.LEASE_LOST, event, now, "lease_lost")
        if not is_over:
            self.wait(now, 0)

    def fail(self, now: int, failure: Failure, roll: float, *, timed_out: bool) -> None:
        self.charged += 1
        delay = failure.delay
        if failure.retryable and self.charged < self.spec.retry.max_attempts:
            pause = pause_before(self.spec.retry, self.charged, roll) if delay is None else delay
            self.wait(now, micros(pause))
            outcome, event = AttemptOutcome.RETRIED, StepEvent.RETRY
        else:
            outcome, event = AttemptOutcome.FAILED, StepEvent.FAIL
        self.end(AttemptOutcome.TIMEOUT if timed_out else outcome, event, now, failure.code)
        self.failure = failure


def pause_before(retry: RetryPolicy, number: int, roll: float) -> float:
    """Seconds before the retry of that number, from 1."""
    pause = retry.initial_backoff
    if retry.backoff == "linear":
        pause *= number
    elif retry.backoff == "exponential":
        for _ in range(number - 1):
            pause = min(retry.max_backoff, pause * retry.multiplier)
    return min(retry.max_backoff, pause) * (1.0 - retry.jitter * roll)


@attrs.define(eq=False)
class ExpectedRun:
    """moves: counts every move of a step along the table, over all runs; turns: of the queues."""

    spec: RunSpec
    created_at: int
    moves: Counter[tuple[StepStatus, StepEvent]]
    turns: Turns
    steps: dict[str, ExpectedStep] = attrs.field(factory=dict[str, ExpectedStep])
    aliases: dict[str, str] = attrs.field(factory=dict[str, str])
    dedup: dict[str, str] = attrs.field(factory=dict[str, str])
    is_canceled: bool = False
    key: int = 0  # of its row, known from its first claim on
    started_at: int | None = None
    finished_at: int | None = None

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def open(self) -> list[ExpectedStep]:
        return [step for step in self.steps.values() if not step.status.is_final]

    @property
    def status(self) -> RunStatus:
        if self.is_canceled:
            return RunStatus.CANCELED
        if self.open:
            return RunStatus.PENDING if self.started_at is None else RunStatus.RUNNING
        failed = any(s.status is FAILED and not s.spec.allow_failure for s in self.steps.values())
        return RunStatus.FAILED if failed else RunStatus.SUCCEEDED

    def add(self, specs: Sequence[StepSpec], now: int) -> list[str] | None:
        """Add what is new of these; answers its ids, or None, and nothing added, if they form no graph."""
        new, aliases, dedup = self._without_duplicates(specs)
        if len({spec.id for spec in new}) < len(new) or any(self._knows(spec.id) for spec in new):
            return None
        ids = {spec.id for spec in new}
        needs: dict[str, dict[str, bool]] = {}
        for spec in new:
            found = needs[spec.id] = dict[str, bool]()
            for dependency in spec.depends_on:
                real = self._real(dependency.step_id, ids, aliases)
                if real is None or real == spec.id:
                    return None
                found[real] = found.get(real, False) or dependency.required
        if _has_cycle(needs):
            return None
        self.aliases |= {alias: real for alias, real in aliases.items() if alias not in ids}
        self.dedup = dedup
        for spec in new:
            self.steps[spec.id] = ExpectedStep(self, spec, needs[spec.id], now)
        self.settle(now)
        return [spec.id for spec in new]

    def _without_duplicates(
        self, specs: Sequence[StepSpec]
    ) -> tuple[list[StepSpec], dict[str, str], dict[str, str]]:
        new: list[StepSpec] = []
        aliases: dict[str, str] = {}
        dedup = dict(self.dedup)
        for spec in specs:
            if spec.dedup_key in dedup:
                if not self._knows(spec.id):
                    aliases.setdefault(spec.id, dedup[spec.dedup_key])
                continue
            new.append(spec)
            if spec.dedup_key:
                dedup[spec.dedup_key] = spec.id
        return new, aliases, dedup

    def _knows(self, step_id: str) -> bool:
        return step_id in self.steps or step_id in self.aliases

    def _real(self, wanted: str, new: set[str], aliases: dict[str, str]) -> str | None:
        if wanted in new or wanted in self.steps:
            return wanted
        return aliases.get(wanted) or self.aliases.get(wanted)

    def settle(self, now: int) -> None:
        """Every step that never was ready is what its dependencies make it."""
        changed = not self.is_canceled
        while changed:
            changed = False
            for step in self.steps.values():
                if not step.was_ready:
                    changed |= self._follow(step, now)

    def _follow(self, step: ExpectedStep, now: int) -> bool:
        before = step.status
        needed = [(self.steps[step_id].status, required) for step_id, required in step.needs.items()]
        if any(required and status in DEAD for status, required in needed):
            if before is PENDING:
                step.move(StepEvent.BLOCK, now)
        elif before is CANCELED:
            step.move(StepEvent.REVIVE, now)
        elif all(status.is_final for status, _ in needed):
            step.be_ready(StepEvent.UNBLOCK, now, micros(step.spec.delay))
        return step.status is not before

    def causes_of(self, step: ExpectedStep) -> set[str]:
        """The failed steps that a canceled step may name as its cause."""
        causes: set[str] = set()
        for step_id, required in step.needs.items():
            needed = self.steps[step_id]
            if required and needed.status is FAILED:
                causes.add(step_id)
            elif required and needed.status is CANCELED:
                causes |= self.causes_of(needed)
        return causes


def _has_cycle(needs: dict[str, dict[str, bool]]) -> bool:
    left = {step_id: set(others) & set(needs) for step_id, others in needs.items()}
    while free := [step_id for step_id, others in left.items() if not others & set(left)]:
        for step_id in free:
            del left[step_id]
    return bool(left)


def all_steps(runs: Iterable[ExpectedRun]) -> list[ExpectedStep]:
    return [step for run in runs for step in run.steps.values()]
