"""What is watched of executors as they run: who may start, for how long, and beside whom.

A cooperative execution is one that ends when it is cancelled: its process was not frozen meanwhile, and its
executor neither shields itself nor holds up the event loop.
"""

import math
from collections import Counter
from collections.abc import Iterable

import attrs
import trio

from trio_workflow.model.outcome import Completion, Failed, Success
from trio_workflow.runtime.attempt import Ended
from trio_workflow.runtime.holding import Holding
from trio_workflow.testing.simulation.actor import Actor
from trio_workflow.testing.simulation.history import History
from trio_workflow.testing.simulation.oracle import Oracle
from trio_workflow.testing.simulation.scheduler import Scheduler
from trio_workflow.testing.simulation.world import CLOCKS, Fault, World

GRAIN = 0.002
"""Seconds by which two readings of one event may differ."""


@attrs.define(eq=False)
class Execution:
    process: Actor
    step: str
    queue: str
    token: str
    is_cooperative: bool = True
    is_in_call: bool = False
    has_finished: bool = False  # its executor has done all it had to
    free_since: float = 0.0  # when its last call to the store returned
    deadline: float = math.inf  # of its step's timeout


class Watch:
    """executions: those that have not returned, by token."""

    def __init__(self, oracle: Oracle, scheduler: Scheduler, world: World, history: History) -> None:
        self._oracle, self._scheduler, self._world, self._history = oracle, scheduler, world, history
        self.executions: dict[str, Execution] = {}
        self.started: Counter[str] = Counter()  # executions, by queue
        self._successes: dict[str, bool] = {}  # tokens under which one was handed in
        self.canceled: set[tuple[str, str]] = set()  # processes, with the runs they were told are canceled
        self.knows_executors = True  # whether they say when they do not end on a cancel

    def starts(self, process: Actor, holding: Holding) -> None:
        step = holding.claim
        name, token = f"{step.run_id}/{step.step_id}", holding.token
        self._history.note(f"{process.name} starts {name} attempt {step.attempt}")
        if self._oracle.owners.get(token) != process.name:
            self._history.tell("an executor started without a lease of its process", name)
        if (process.name, step.run_id) in self.canceled and token in self._oracle.enders:
            self._history.tell("an executor started of a run that its process knew to be canceled", name)
        self._beside(process, name)
        is_cooperative = not self._scheduler.is_frozen(process)
        timeout = self._oracle.timeout_of(step.run_id, step.step_id)
        deadline = math.inf if timeout is None else trio.current_time() + timeout
        self.executions[token] = Execution(
            process, name, step.queue, token, is_cooperative, deadline=deadline
        )
        self.started[step.queue] += 1
        mine = [e for e in self.executions.values() if e.process is process]
        if len(mine) > process.config.max_workers:
            self._history.tell("a process ran more than max_workers", f"{process.name}: {len(mine)}")
        # Some may have been started before the limit was lowered.
        if sum(e.queue == step.queue for e in mine) > self._oracle.most[step.queue]:
            self._history.tell("a process ran more than a queue's limit", f"{process.name}: {step.queue}")
        if process.serves is not None and step.queue not in process.serves:
            self._history.tell("a process ran a step of a queue that it does not serve", name)

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
            if self._is_watched(other) and not other.process.is_dead and not self._world.faults & CLOCKS:
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
        if isinstance(ended.outcome, Success):
            self._successes[holding.token] = True
            self._succeeds(execution, holding)
        if not self._is_watched(execution):
            return
        self._ends_in_time(execution, holding)

    def _succeeds(self, execution: Execution, holding: Holding) -> None:
        if holding.reason is not None:
            self._history.tell(
                "an executor that was cancelled succeeded", f"{execution.step} {holding.reason}"
            )
        if self.knows_executors and not execution.has_finished:
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

    def _is_watched(self, execution: Execution) -> bool:
        return execution.is_cooperative and not execution.is_in_call and self.knows_executors

    def has_finished(self, token: str) -> None:
        """The executor has done all it had to."""
        if token in self.executions:
            self.executions[token].has_finished = True

    def is_uncooperative(self, token: str) -> None:
        """From here on the execution does not end when it is cancelled."""
        if token in self.executions:
            self.executions[token].is_cooperative = False

    def calls_the_store(self, token: str, calls: bool) -> None:
        """It waits for a call that is not cancelled, or no longer does."""
        if token in self.executions:
            self.executions[token].is_in_call = calls
            self.executions[token].free_since = trio.current_time()

    def froze(self, process: Actor) -> None:
        for execution in self.executions.values():
            if execution.process is process:
                execution.is_cooperative = False
