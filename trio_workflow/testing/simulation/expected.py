"""What every run and step should be: a second, plain engine, without SQL, indexes or counters.

Rule 1: nothing here is shared with the code it predicts, but for the words of `model` and the table of moves.
Rule 2: a step that never was ready is what its dependencies make it, reckoned anew after every command; so a
failure's cascade, its retry and a late dependency are one function, `ExpectedRun.settle`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import attrs

from trio_workflow.model.outcome import ArtifactWrite, Failure
from trio_workflow.model.plan import StepSpec
from trio_workflow.model.policy import RetryPolicy
from trio_workflow.model.status import AttemptOutcome, RunStatus, StepStatus
from trio_workflow.model.times import micros
from trio_workflow.rules.transitions import StepEvent, after
from trio_workflow.testing.simulation.turns import Turns

PENDING, READY, RUNNING = StepStatus.PENDING, StepStatus.READY, StepStatus.RUNNING
SUCCEEDED, FAILED, CANCELED = StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.CANCELED
DEAD = (FAILED, CANCELED)


@attrs.define(eq=False)
class ExpectedStep:
    """needs: ids of dependencies -> required. was_ready: it no longer follows its dependencies."""

    run: "ExpectedRun"
    spec: StepSpec
    needs: dict[str, bool]
    status: StepStatus = PENDING
    was_ready: bool = False
    ready_at: int = 0
    is_due: bool = False  # its date has come, by the clock of somebody who claimed
    attempt: int = 0
    charged: int = 0
    lost: int = 0
    token: str | None = None
    expires_at: int = 0
    ends: list[AttemptOutcome | None] = attrs.field(factory=list[AttemptOutcome | None])
    data: str | None = None
    emitted: list[str] = attrs.field(factory=list[str])
    records: int = 0
    artifacts: tuple[ArtifactWrite, ...] = ()
    saved: str | None = None
    error: str | None = None  # the code of the last failure

    @property
    def name(self) -> str:
        return f"{self.run.id}/{self.spec.id}"

    @property
    def unmet(self) -> int:
        return sum(not self.run.steps[step_id].status.is_final for step_id in self.needs)

    def move(self, event: StepEvent) -> None:
        self.run.moves[self.status, event] += 1
        self.status = after(self.status, event)

    def end(self, outcome: AttemptOutcome, event: StepEvent) -> None:
        """The attempt under way ends."""
        self.move(event)
        self.ends[-1] = outcome
        self.token = None

    def be_ready(self, event: StepEvent, now: int, delay: int = 0) -> None:
        self.move(event)
        self.was_ready = True
        self.wait(now, delay)

    def wait(self, now: int, delay: int) -> None:
        self.ready_at, self.is_due = now + delay, False
        if not delay:
            self.fall_due()

    def fall_due(self) -> None:
        self.is_due = True
        self.run.turns.place(self.run.id, self.spec.queue)

    def lease(self, token: str, expires_at: int) -> None:
        self.move(StepEvent.CLAIM)
        self.attempt += 1
        self.ends.append(None)
        self.token, self.expires_at = token, expires_at

    def lose(self, max_lost: int, now: int) -> None:
        self.lost += 1
        self.error = "lease_lost"
        if self.lost >= max_lost:
            self.end(AttemptOutcome.LEASE_LOST, StepEvent.ABANDON)
        else:
            self.end(AttemptOutcome.LEASE_LOST, StepEvent.EXPIRE)
            self.wait(now, 0)

    def fail(self, now: int, failure: Failure, roll: float, *, timed_out: bool) -> None:
        self.charged += 1
        self.error, delay = failure.code, failure.delay
        if failure.retryable and self.charged < self.spec.retry.max_attempts:
            pause = pause_before(self.spec.retry, self.charged, roll) if delay is None else delay
            self.wait(now, micros(pause))
            outcome, event = AttemptOutcome.RETRIED, StepEvent.RETRY
        else:
            outcome, event = AttemptOutcome.FAILED, StepEvent.FAIL
        self.end(AttemptOutcome.TIMEOUT if timed_out else outcome, event)


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

    id: str
    moves: Counter[tuple[StepStatus, StepEvent]]
    turns: Turns
    steps: dict[str, ExpectedStep] = attrs.field(factory=dict[str, ExpectedStep])
    aliases: dict[str, str] = attrs.field(factory=dict[str, str])
    dedup: dict[str, str] = attrs.field(factory=dict[str, str])
    is_canceled: bool = False
    has_started: bool = False
    finished_at: int | None = None

    @property
    def open(self) -> list[ExpectedStep]:
        return [step for step in self.steps.values() if not step.status.is_final]

    @property
    def status(self) -> RunStatus:
        if self.is_canceled:
            return RunStatus.CANCELED
        if self.open:
            return RunStatus.RUNNING if self.has_started else RunStatus.PENDING
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
            self.steps[spec.id] = ExpectedStep(self, spec, needs[spec.id])
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
                step.move(StepEvent.BLOCK)
        elif before is CANCELED:
            step.move(StepEvent.REVIVE)
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
