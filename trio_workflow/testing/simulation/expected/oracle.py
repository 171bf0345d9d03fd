"""The oracle: told each committed verb, it says what the store must now hold, or must not have done."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import zip_longest
from typing import Any

import attrs
import trio

from trio_workflow.model.artifact import ArtifactRef
from trio_workflow.model.changes import ClaimAnswer, ClaimRequest, Renewal
from trio_workflow.model.outcome import Completion, Failed, Failure, LeaseLost, Released, Success
from trio_workflow.model.plan import RunSpec
from trio_workflow.model.policy import QueueConfig
from trio_workflow.model.status import AttemptOutcome, StepStatus
from trio_workflow.model.times import micros
from trio_workflow.rules.transitions import StepEvent
from trio_workflow.store.protocol import Completed, Created
from trio_workflow.testing.simulation.expected.asked import AskedRun
from trio_workflow.testing.simulation.expected.claims import broken_limits
from trio_workflow.testing.simulation.expected.refusals import expected_refusals, is_as_promised
from trio_workflow.testing.simulation.expected.runs import (
    FAILED,
    READY,
    RUNNING,
    SUCCEEDED,
    ExpectedRun,
    ExpectedStep,
    all_steps,
)
from trio_workflow.testing.simulation.expected.shares import Shares
from trio_workflow.testing.simulation.expected.turns import Turns

Tell = Callable[[str, str], None]
"""(what is broken, about what): told of a violation."""


@attrs.frozen
class Fact:
    """A verb that was committed, with its answer or refusal.

    now: the committer's wall clock in microseconds. time: the trio run's, in seconds.
    """

    process: str
    verb: str
    asked: Mapping[str, Any]
    answer: Any
    refusal: BaseException | None
    now: int
    time: float


class Oracle:
    """Runs as they should be. touched: the runs that facts were about since it was last cleared."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.moves: Counter[tuple[StepStatus, StepEvent]] = Counter()
        self.turns = Turns()
        self.shares = Shares()
        self.has_plain_queues = True  # all steps have one priority and kind
        self.asked: Mapping[str, AskedRun] = {}  # by run, where it is known
        self.runs: dict[str, ExpectedRun] = {}
        self.deleted: set[str] = set()
        self.deleted_steps = 0
        self.deleted_refs: list[ArtifactRef] = []  # to bytes that nobody may need any more
        self.attempt_refs: dict[
            str, tuple[int, ArtifactRef]
        ] = {}  # by uri: what attempts put, with the run's key
        self.queues: dict[str, QueueConfig] = {}
        self.most: Counter[str] = Counter()  # the highest limit under which each queue was claimed from
        self.owners: dict[str, str] = {}  # every token ever leased -> the process
        self.confirmed: dict[str, float] = {}  # token -> when its lease was last written, on the run's clock
        self.enders: dict[str, str] = {}  # every token that no longer holds -> the process that ended it
        self.expired: set[str] = set()  # the tokens of leases that ran out and were taken back
        self.known_gone: dict[str, float] = {}  # token -> when its process was told, or did it itself
        self.distrusted: dict[str, float] = {}  # process -> until when it must take back no lease
        self.cancels: set[tuple[str, str]] = set()  # processes, with the runs that they canceled
        self.ended: Counter[tuple[str, str]] = Counter()  # by process, and the word of CycleResult
        self.touched: set[str] = set()
        self.still_holds: Callable[[str, str], bool] = lambda process, token: False
        self.prunes: dict[str, set[float]] = {}  # process -> ages in seconds that it was asked to prune from

    def take(self, fact: Fact) -> None:
        apply = getattr(self, f"_{fact.verb}", None)
        if apply is None:
            return
        if not self._is_as_promised(fact) or fact.refusal is not None:
            return
        held = self.running
        apply(fact, fact.answer, **fact.asked)
        for run_id in self.touched & self.runs.keys():
            run = self.runs[run_id]
            run.settle(fact.now)
            run.finished_at = fact.now if run.status.is_final else None
        for token in held.keys() - self.running.keys():
            self.enders[token] = fact.process
            if fact.process == self.owners[token]:
                self.known_gone.setdefault(token, fact.time)

    def _is_as_promised(self, fact: Fact) -> bool:
        expected = expected_refusals(self.runs, fact.verb, fact.asked)
        if is_as_promised(expected, fact.refusal):
            return True
        self._tell(
            "a call was refused, or was not, against what is promised",
            f"{fact.verb}: {fact.refusal!r}, expected {[e.__name__ for e in expected or ()]}",
        )
        return False

    def denied(self, process: str, tokens: Iterable[str]) -> None:
        """The process was told that these leases no longer hold."""
        for token in tokens:
            if self.owners.get(token) == process:
                self.known_gone.setdefault(token, trio.current_time())

    @property
    def running(self) -> dict[str, ExpectedStep]:
        """The steps under lease, by token."""
        return {
            step.token: step
            for run in self.runs.values()
            for step in run.steps.values()
            if step.status is RUNNING and step.token is not None
        }

    # One method per verb, of that name and with its arguments.

    def _create_runs(self, fact: Fact, answer: Created, specs: Iterable[RunSpec], if_exists: str) -> None:
        for spec in specs:
            if (spec.id in self.runs) != (spec.id in answer.existing) and spec.id not in self.touched:
                self._tell("create_runs took an id for new or for taken that was not", spec.id)
            if spec.id in self.runs:
                continue
            self._look_at_spec(spec)
            run = self.runs[spec.id] = ExpectedRun(spec, fact.now, self.moves, self.turns)
            self.touched.add(spec.id)
            if run.add(spec.steps, fact.now) is None:
                self._tell("a graph was stored that is none", spec.id)

    def _look_at_spec(self, spec: RunSpec) -> None:
        asked = self.asked.get(spec.id)
        if asked is None:
            return
        if spec.metadata != asked.metadata:
            self._tell("a run is stored otherwise than it was asked for", f"{spec.id} {dict(spec.metadata)}")
        for stored, wanted in zip_longest(spec.steps, asked.steps):
            if stored != wanted:
                self._tell("a step is stored otherwise than it was asked for", f"{stored}, not {wanted}")

    def _complete(self, fact: Fact, answer: Completed, completions: Iterable[Completion]) -> None:
        running = self.running
        for completion in completions:
            self.attempt_refs |= {s.ref.uri: (completion.run_key, s.ref) for s in completion.stored}
        accepted: dict[str, tuple[ExpectedStep, Completion]] = {}
        for completion in completions:
            step = running.get(completion.token)
            if step is not None:
                accepted.setdefault(completion.token, (step, completion))
        if set(accepted) != set(answer.ended):
            self._tell("outcomes were accepted, or refused, against their tokens", f"{sorted(answer.ended)}")
        children = {
            token: step.run.add(done.outcome.emitted, fact.now)
            for token, (step, done) in accepted.items()
            if isinstance(done.outcome, Success)
        }
        for token, (step, done) in accepted.items():
            self.touched.add(step.run.id)
            self._end(step, done.outcome, children.get(token), fact.now)
            self.ended[fact.process, _word(step)] += 1
            if answer.ended.get(token) is not step.ends[-1]:
                self._tell("an attempt ended otherwise than it was told", f"{step.name} {answer.ended}")

    @staticmethod
    def _end(step: ExpectedStep, ended: object, children: list[str] | None, now: int) -> None:
        match ended:
            case Success() if children is not None:
                step.succeed(ended, children, now)
            case Success():
                step.fail(now, Failure(code="invalid_graph", message=""), 0.0, timed_out=False)
                step.failure = None  # the store says what is wrong
            case Failed(failure, timed_out, roll):
                step.fail(now, failure, roll, timed_out=timed_out)
            case Released():
                step.end(AttemptOutcome.RELEASED, StepEvent.RELEASE, now)
                step.wait(now, 0)
            case LeaseLost(max_lost):
                step.lose(max_lost, now)
            case _:
                raise AssertionError(f"an outcome that the oracle does not know: {ended!r}")

    def _claim(self, fact: Fact, answer: ClaimAnswer, request: ClaimRequest, new_tokens: object) -> None:
        self._expire(fact, answer, request)
        for step in all_steps(self.runs.values()):
            if step.status is READY and not step.is_due and step.ready_at <= fact.now:
                step.fall_due()
        starved = partial(self.shares.starved, (fact.process, request.queues))
        for broken, about in broken_limits(self.runs.values(), self.queues, answer, request, starved):
            self._tell(broken, about)
        self._take_turns(answer)
        for queue in {claim.queue for claim in answer.claims}:
            limit = self.queues.get(queue, request.default_queue).max_workers
            self.most[queue] = max(self.most[queue], limit)
        for claim in answer.claims:
            claimed = self.step(claim.run_id, claim.step_id)
            if claimed is None or claimed.status is not READY or not claimed.is_due:
                self._tell("a step was leased that was not due", f"{claim.run_id}/{claim.step_id}")
                continue
            if claim.token in self.owners:
                self._tell("a token was used twice", claimed.name)
            claimed.run.key = claim.run_key
            claimed.lease(claim.token, request.worker_id, fact.now, request.lease)
            if claimed.run.started_at is None:
                claimed.run.started_at = fact.now
            self.owners[claim.token] = fact.process
            self.confirmed[claim.token] = fact.time
            self.touched.add(claimed.run.id)

    def _take_turns(self, answer: ClaimAnswer) -> None:
        runs: dict[str, Counter[str]] = {}
        for claim in answer.claims:
            runs.setdefault(claim.queue, Counter())[claim.run_id] += 1
        for queue, counts in runs.items():
            if self.has_plain_queues and not self.turns.start(queue, counts):
                self._tell("a run started before its turn", f"{queue}: {dict(counts)}")

    def _expire(self, fact: Fact, answer: ClaimAnswer, request: ClaimRequest) -> None:
        if answer.looked_for_expired and fact.time < self.distrusted.get(fact.process, 0.0):
            self._tell("leases were taken back by a clock that had just jumped", fact.process)
        expired = [
            step
            for token, step in self.running.items()
            if answer.looked_for_expired and step.expires_at <= fact.now and token not in request.spared
        ]
        if answer.refreshed != len(expired):
            self._tell("leases were taken back", f"{answer.refreshed} of {len(expired)} that ran out")
        for step in expired:
            token = step.token or ""
            if self.owners[token] == fact.process and self.still_holds(fact.process, token):
                self._tell("a process took back a lease of its own that held", step.name)
            self.expired.add(token)
            step.lose(request.max_lost, fact.now)
            self.touched.add(step.run.id)
            step.run.settle(fact.now)

    def _renew(self, fact: Fact, answer: frozenset[str], renewals: Iterable[Renewal], lease: int) -> None:
        running = self.running
        live = {renewal.token for renewal in renewals if renewal.token in running}
        if set(answer) != live:
            self._tell("renewals were answered against their tokens", f"{sorted(answer ^ live)}")
        self.denied(fact.process, {renewal.token for renewal in renewals} - live)
        for token, progress in {r.token: r.progress for r in renewals if r.token in live}.items():
            step = running[token]
            step.expires_at = fact.now + lease
            step.progress = progress or step.progress
            self.confirmed[token] = fact.time
            self.touched.add(step.run.id)

    def _save(self, fact: Fact, answer: bool, step_key: int, token: str, data: str) -> None:
        step = self.running.get(token)
        if answer != (step is not None):
            self._tell("a checkpoint was taken, or refused, against its token", token)
        if not answer:
            self.denied(fact.process, [token])
        if step is not None:
            step.saved = data
            self.touched.add(step.run.id)

    def _cancel_run(self, fact: Fact, answer: object, run_id: str) -> None:
        self.cancels.add((fact.process, run_id))
        run = self.runs[run_id]
        if run.status.is_final:
            return
        for step in run.open:
            if step.status is RUNNING:
                step.end(AttemptOutcome.CANCELED, StepEvent.CANCEL, fact.now)
            else:
                step.move(StepEvent.CANCEL, fact.now)
        run.is_canceled = True
        self.turns.leave(run_id)
        self.touched.add(run_id)

    def _retry_step(self, fact: Fact, answer: object, run_id: str, step_id: str) -> None:
        self._reopen(run_id, [self.runs[run_id].steps[step_id]], fact.now)

    def _retry_run(self, fact: Fact, answer: object, run_id: str) -> None:
        failed = [step for step in self.runs[run_id].steps.values() if step.status is FAILED]
        if failed:
            self._reopen(run_id, failed, fact.now)

    def _reopen(self, run_id: str, steps: list[ExpectedStep], now: int) -> None:
        if self.runs[run_id].is_canceled:
            self._tell("a step of a canceled run was retried", run_id)
        for step in steps:
            step.be_ready(StepEvent.REOPEN, now)
            step.charged = step.lost = 0
        self.touched.add(run_id)

    def _delete_run(self, fact: Fact, answer: object, run_id: str) -> None:
        self._delete(run_id)

    def _prune(self, fact: Fact, answer: int, before: int, limit: int) -> None:
        ages = self.prunes.get(fact.process, ())
        is_early = all(before > fact.now - micros(age) for age in ages)
        if is_early and fact.process not in self.distrusted:
            self._tell("prune removed what had ended too short a time ago", f"{before}, {ages}")
        old = [r for r in self.runs.values() if r.finished_at is not None and r.finished_at <= before]
        if answer != min(limit, len(old)):
            self._tell("prune removed another number of runs", f"{answer} instead of {len(old)}")
        for run in old[:answer]:
            self._delete(run.id)

    def _delete(self, run_id: str) -> None:
        run = self.runs.pop(run_id)
        self.turns.forget(run_id)
        self.deleted_steps += len(run.steps)
        writes = [write for step in run.steps.values() for write in step.artifacts]
        self.deleted_refs += [write.ref for write in writes if write.ref is not None]
        if run.finished_at is None:
            self._tell("a run was deleted that goes on", run_id)
        self.deleted.add(run_id)

    def _configure_queues(self, fact: Fact, answer: object, queues: Mapping[str, QueueConfig]) -> None:
        self.queues.update(queues)

    def unused_refs(self) -> list[ArtifactRef]:
        """References that attempts put, to bytes that must be gone once all that is due is removed."""
        runs = {run.key: run for run in self.runs.values()}
        used = {
            w.ref.uri for step in all_steps(self.runs.values()) for w in step.artifacts if w.ref is not None
        }
        return [
            ref
            for uri, (run_key, ref) in self.attempt_refs.items()
            if uri not in used and not (run_key in runs and _is_kept(runs[run_key], ref))
        ]

    def timeout_of(self, run_id: str, step_id: str) -> float | None:
        step = self.step(run_id, step_id)
        return None if step is None else step.spec.timeout

    def step(self, run_id: str, step_id: str) -> ExpectedStep | None:
        run = self.runs.get(run_id)
        return None if run is None else run.steps.get(step_id)


def _is_kept(run: ExpectedRun, ref: ArtifactRef) -> bool:
    """Whether the step that put it has not succeeded: its bytes stay until it does, or its run is deleted."""
    step_id = ref.id.split("/")[1].replace("%2F", "/").replace("%25", "%")
    return run.steps[step_id].status is not SUCCEEDED


def _word(step: ExpectedStep) -> str:
    end = step.ends[-1]
    if end is AttemptOutcome.SUCCEEDED or end is AttemptOutcome.RELEASED:
        return end.value
    return "failed" if step.status is FAILED else "retried"
