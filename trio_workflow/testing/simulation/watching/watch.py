"""What is watched of executors as they run: who may start, for how long, and beside whom.

A cooperative execution is one that ends when it is cancelled: its process was not frozen meanwhile, and its
executor neither shields itself nor holds up the event loop.
"""

import math
from collections import Counter
from collections.abc import Collection, Iterable

import attrs
import trio

from trio_workflow.model.changes import Renewal
from trio_workflow.model.outcome import Completion, Failed, Success
from trio_workflow.runtime.attempt import Ended
from trio_workflow.runtime.holding import Holding, Reason
from trio_workflow.testing.simulation.actor import Actor
from trio_workflow.testing.simulation.expected.oracle import Oracle
from trio_workflow.testing.simulation.expected.runs import ExpectedRun
from trio_workflow.testing.simulation.history import History
from trio_workflow.testing.simulation.scheduler import Scheduler
from trio_workflow.testing.simulation.watching.products import Made, Raised, disagreements
from trio_workflow.testing.simulation.world import CLOCKS, Fault, World

GRAIN = 0.002
"""Seconds by which two readings of one event may differ."""


@attrs.define(eq=False)
class Execution:
    process: Actor
    step: str
    queue: str
    token: str
    holding: Holding
    is_cooperative: bool = True
    is_in_call: bool = False
    free_since: float = 0.0  # when its last call to the store returned
    deadline: float = math.inf  # of its step's timeout
    started_at: float = attrs.field(factory=trio.current_time)
    made: Made | None = None  # once its executor has done all it had to
    raised: Raised | None = None  # once its executor has failed by itself
    is_in_one_piece: bool = False  # since its lease held, nobody could interrupt it
    is_interrupted: bool = False  # it was cancelled, and made nothing of it
    is_own_master: bool = True  # it was not frozen, and does not swallow a cancellation
    pending: int | None = None  # renewals since it told of progress that is not stored; None: nothing is told

    @property
    def is_in_hand(self) -> bool:
        """Whether by its process's clock the lease holds, and the executor may run."""
        return self.holding.reason is None and self.holding.expires > trio.current_time()


class Watch:
    """executions: those that have not returned, by token."""

    def __init__(self, oracle: Oracle, scheduler: Scheduler, world: World, history: History) -> None:
        self._oracle, self._scheduler, self._world, self._history = oracle, scheduler, world, history
        self.executions: dict[str, Execution] = {}
        self.started: Counter[str] = Counter()  # executions, by queue
        self.started_by: Counter[tuple[str, str]] = Counter()  # the same, by process and queue
        self._successes: dict[str, bool] = {}  # tokens under which one was handed in
        self._canceled: list[tuple[str, ExpectedRun]] = []  # processes, with runs they know of
        self.knows_executors = True  # whether they say when they do not end on a cancel

    def starts(self, process: Actor, holding: Holding) -> None:
        step = holding.claim
        name, token = f"{step.run_id}/{step.step_id}", holding.token
        self._history.note(f"{process.name} starts {name} attempt {step.attempt}")
        if self._oracle.owners.get(token) != process.name:
            self._history.tell("an executor started without a lease of its process", name)
        run = self._oracle.runs.get(step.run_id)
        knows = any(who == process.name and canceled is run for who, canceled in self._canceled)
        if knows and token in self._oracle.enders:
            self._history.tell("an executor started of a run that its process knew to be canceled", name)
        self._beside(process, name)
        is_cooperative = not self._scheduler.is_frozen(process)
        timeout = self._oracle.timeout_of(step.run_id, step.step_id)
        deadline = math.inf if timeout is None else trio.current_time() + timeout
        self.executions[token] = Execution(
            process, name, step.queue, token, holding, is_cooperative, deadline=deadline
        )
        self.executions[token].is_own_master = is_cooperative
        self.started[step.queue] += 1
        self.started_by[process.name, step.queue] += 1
        if process.stopped_at is not None and trio.current_time() > process.stopped_at + GRAIN:
            self._history.tell("workers started a step after they had been stopped", name)
        mine = [e for e in self.executions.values() if e.process is process]
        if len(mine) > process.config.max_workers:
            self._history.tell("a process ran more than max_workers", f"{process.name}: {len(mine)}")
        # Some may have been started before the limit was lowered.
        if sum(e.queue == step.queue for e in mine) > self._oracle.most[step.queue]:
            self._history.tell("a process ran more than a queue's limit", f"{process.name}: {step.queue}")
        if process.serves is not None and step.queue not in process.serves:
            self._history.tell("a process ran a step of a queue that it does not serve", name)

    def knows_canceled(self, process: Actor, run_id: str) -> None:
        """The process was told that the run is canceled. One that has its id later is another."""
        run = self._oracle.runs.get(run_id)
        if run is not None:
            self._canceled.append((process.name, run))

    def stored(self, completions: Iterable[Completion]) -> None:
        """These were committed. What is stored of a success is a success, unless the store refuses it."""
        for completion in completions:
            handed_in = self._successes.pop(completion.token, False)
            if (
                handed_in
                and isinstance(completion.outcome, Failed)
                and Fault.POISON not in self._world.faults
            ):
                self._history.tell("a success was stored as a failure", f"{completion.outcome.failure}")

    def _beside(self, process: Actor, name: str) -> None:
        for other in self.executions.values():
            if other.step != name:
                continue
            self._history.count("overlap", "cooperative" if other.is_cooperative else "uncooperative")
            if other.token in self._oracle.enders and other.token not in self._oracle.expired:
                continue  # its run was canceled, and a new one has its id
            if self.is_watched(other) and not other.process.is_dead and not self._world.faults & CLOCKS:
                self._history.tell(
                    "two attempts of a step ran at once", f"{name} on {other.process.name}, {process.name}"
                )

    def ends(self, process: Actor, holding: Holding, ended: Ended) -> None:
        execution = self.executions.pop(holding.token, None)
        outcome = type(ended.outcome).__name__
        self._history.note(f"{process.name} ended {holding.claim.step_id} as {outcome} {holding.reason}")
        self._history.count("ended", f"{outcome}")
        if execution is None or process.is_dead:
            return
        self._hands_in(execution, holding, ended)
        if isinstance(ended.outcome, Success):
            self._successes[holding.token] = True
            self._succeeds(execution, holding)
        if not self.is_watched(execution):
            return
        self._ends_in_time(execution, holding)
        self._is_stopped_in_time(execution, holding)

    def _hands_in(self, execution: Execution, holding: Holding, ended: Ended) -> None:
        """The outcome is what the executor came to."""
        outcome, now = ended.outcome, trio.current_time()
        if not self.knows_executors:
            return
        for disagreement in disagreements(execution.made, execution.raised, outcome):
            self._history.tell("an attempt hands in what is not its own", f"{execution.step}: {disagreement}")
        timeout = math.inf if holding.claim.timeout is None else holding.claim.timeout
        took = now - execution.started_at
        if isinstance(outcome, Failed) and outcome.timed_out and took < timeout - GRAIN:
            self._history.tell("an attempt timed out before its time", f"{execution.step}: {took:.3f} s")
        holds = holding.expires > now or execution.is_in_one_piece
        is_due = holding.reason is None and took < timeout and holds
        if execution.made and is_due and execution.is_own_master and not isinstance(outcome, Success):
            self._history.tell("an executor had finished and did not succeed", f"{execution.step}: {outcome}")
        was_kept = holding.reason in (None, Reason.STOPPED) and holding.token not in self._oracle.enders
        if self._world.is_mild and was_kept:
            since = now - self._oracle.confirmed[holding.token]
            if since > self._world.lease / 3 + GRAIN:
                self._history.tell("a lease was not renewed in time", f"{execution.step}: {since:.3f} s")

    def _is_stopped_in_time(self, execution: Execution, holding: Holding) -> None:
        """Executors have their grace, and no more, when their workers are stopped. An interrupt ends it."""
        stopped = execution.process.stopped_at
        if stopped is None or holding.reason is not Reason.STOPPED:
            return
        over = trio.current_time() - stopped - self._world.grace
        if over < -GRAIN and not execution.process.is_interrupted:
            self._history.tell("an executor was not given its grace", f"{execution.step}: {over:.3f} s")
        if trio.current_time() - max(stopped + self._world.grace, execution.free_since) > GRAIN:
            self._history.tell("an executor went on after its grace", f"{execution.step}: {over:.3f} s")

    def _succeeds(self, execution: Execution, holding: Holding) -> None:
        if holding.reason is not None or execution.is_interrupted:
            self._history.tell(
                "an executor that was cancelled succeeded", f"{execution.step} {holding.reason}"
            )
        if self.knows_executors and execution.made is None:
            self._history.tell("an executor succeeded that had not finished", execution.step)

    def _ends_in_time(self, execution: Execution, holding: Holding) -> None:
        gone = self._oracle.known_gone.get(holding.token)
        is_slow = self._world.faults & {Fault.SLOW, Fault.LOST_ANSWER}
        if gone is not None and not is_slow and trio.current_time() - max(gone, execution.free_since) > GRAIN:
            self._history.tell(
                "an executor went on although its process knew that its lease was gone", execution.step
            )
        expiry = self._oracle.confirmed[holding.token] + self._world.lease
        if trio.current_time() - max(execution.deadline, execution.free_since) > GRAIN:
            self._history.tell("an executor ran past its step's timeout", execution.step)
        late = trio.current_time() - max(expiry, execution.free_since)
        if late > GRAIN:
            self._history.tell(
                "an executor ran past its last confirmed expiry", f"{execution.step}: {late:.3f} s"
            )

    def is_watched(self, execution: Execution) -> bool:
        """Whether it ends at once when it is cancelled."""
        return execution.is_cooperative and not execution.is_in_call and self.knows_executors

    def has_finished(self, token: str, made: Made) -> None:
        """The executor has done all it had to."""
        if token in self.executions:
            self.executions[token].made = made

    def raises(self, token: str, raised: Raised) -> None:
        """The executor is about to fail."""
        if token in self.executions:
            self.executions[token].raised = raised

    def told_progress(self, token: str) -> None:
        """It is to be stored with the next renewal; with the one after, if that was under way already."""
        if token in self.executions:
            self.executions[token].pending = 0

    def renewed(self, renewals: Iterable[Renewal], live: Collection[str]) -> None:
        """These were committed."""
        for renewal in renewals:
            execution = self.executions.get(renewal.token)
            if execution is None or execution.pending is None or renewal.token not in live:
                continue
            execution.pending = None if renewal.progress is not None else execution.pending + 1
            if execution.pending == 2:
                self._history.tell("progress was told and is not stored", execution.step)

    def still_holds(self, process: str, token: str) -> bool:
        """Whether that process runs the step under that lease, and by its own clock may."""
        execution = self.executions.get(token)
        return execution is not None and execution.process.name == process and execution.is_in_hand

    def is_uncooperative(self, token: str) -> None:
        """From here on the execution does not end when it is cancelled."""
        if token in self.executions:
            self.executions[token].is_cooperative = False
            self.executions[token].is_own_master = False

    def calls_the_store(self, token: str, calls: bool) -> None:
        """It waits for a call that is not cancelled, or no longer does."""
        if token in self.executions:
            self.executions[token].is_in_call = calls
            self.executions[token].free_since = trio.current_time()

    def blocks(self, process: Actor) -> None:
        """Its event loop is held up: nobody in it is cancelled in time, and nobody is interrupted."""
        for execution in self.executions.values():
            if execution.process is process:
                execution.is_cooperative = False

    def is_not_interrupted(self, token: str) -> None:
        """From here on the executor lets nobody else take a step."""
        if token in self.executions:
            self.executions[token].is_in_one_piece = self.executions[token].is_in_hand

    def may_be_interrupted(self, token: str) -> None:
        """It waits again."""
        if token in self.executions:
            self.executions[token].is_in_one_piece = False

    def was_interrupted(self, token: str) -> None:
        """It was cancelled, and goes on as if nothing had been."""
        self.is_uncooperative(token)
        if token in self.executions:
            self.executions[token].is_interrupted = True

    def froze(self, process: Actor) -> None:
        self.blocks(process)
        for execution in self.executions.values():
            if execution.process is process:
                execution.is_own_master = False
