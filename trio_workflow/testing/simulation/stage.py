"""The stage: what all processes of a world share, and who looks on at the engine's points for it."""

import math
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import outcome
import trio

from trio_workflow.authoring.step_context import StepContext
from trio_workflow.clock import VIRTUAL_EPOCH
from trio_workflow.errors import (
    ConfigError,
    GraphError,
    InputError,
    OptionError,
    PackageNotFoundError,
    PayloadError,
    WorkflowError,
)
from trio_workflow.model.changes import ClaimAnswer, ClaimRequest
from trio_workflow.model.outcome import Failed, LeaseLost
from trio_workflow.points import Point
from trio_workflow.runtime.attempt import Ended
from trio_workflow.runtime.holding import Holding
from trio_workflow.runtime.runs import IfExists, StartRun
from trio_workflow.runtime.runtime import Runtime
from trio_workflow.store.protocol import Completed, Created
from trio_workflow.store.sqlite.check import LOOKS, Report
from trio_workflow.testing.simulation.actor import CURRENT, Actor
from trio_workflow.testing.simulation.expected.asked import AskedRun
from trio_workflow.testing.simulation.expected.ledger import differences
from trio_workflow.testing.simulation.expected.oracle import Fact, Oracle
from trio_workflow.testing.simulation.expected.order import Order
from trio_workflow.testing.simulation.expected.runs import ExpectedStep, all_steps
from trio_workflow.testing.simulation.faults import Faults
from trio_workflow.testing.simulation.history import History, is_of_trio
from trio_workflow.testing.simulation.limits import Limits
from trio_workflow.testing.simulation.scheduler import Scheduler
from trio_workflow.testing.simulation.watching.rates import Rates
from trio_workflow.testing.simulation.watching.watch import Watch
from trio_workflow.testing.simulation.world import Fault, World


class Script(Protocol):
    """Which runs there are, and who executes their steps. is_users: what it runs is not the simulation's.
    is_repeatable: nothing of it runs in threads. knows_executors: they say when they do not end when they are
    cancelled. has_plain_queues: all steps have one priority and kind. asked: what is to be
    stored of runs, where that is known. starts: otherwise: with another input,
    where the script can. saw: steps of these kinds are stored."""

    is_users: bool
    is_repeatable: bool
    knows_executors: bool
    has_plain_queues: bool
    asked: dict[str, AskedRun]
    limits: Limits
    run_ids: list[str]

    def begin(self, stage: "Stage") -> None: ...
    def set_up(self, rt: Runtime, stage: "Stage", process: Actor, is_last: bool) -> None: ...
    def starts(self, run_ids: Sequence[str], stage: "Stage", *, otherwise: bool) -> list[StartRun]: ...
    def saw(self, kinds: Iterable[str]) -> None: ...
    def has_executor(self, kind: str) -> bool: ...
    def wrote(self, step: ExpectedStep, body: bytes) -> bool: ...
    async def at_the_end(self, rt: Runtime, stage: "Stage") -> None: ...


class Stage:
    """State of one simulation. Everything in it happens in one thread."""

    def __init__(
        self, world: World, script: "Script", scheduler: Scheduler, folder: Path, *, is_whole: bool = False
    ) -> None:
        self.world, self.script, self.scheduler = world, script, scheduler
        self.history = History(str(folder), is_whole)
        self.folder, self.store = folder, folder / "engine.db"
        self.oracle = Oracle(self.history.tell)
        self.rates = Rates(self.oracle, world, self.history.tell)
        self.faults = Faults(world, self.history)
        self.watch = Watch(self.oracle, scheduler, world, self.history)
        self.watch.knows_executors = script.knows_executors
        self.oracle.has_plain_queues, self.oracle.asked = script.has_plain_queues, script.asked
        self.oracle.shares.is_watched = Fault.LOST_ANSWER not in world.faults
        self.faults_are_over = trio.Event()
        self.started_ids = script.run_ids
        self.unstarted = list(self.started_ids)
        self._pending: list[Fact] = []  # of the transaction under way
        self._order = Order()
        self._asked_together = set[tuple[str, ...]]()  # ids of runs that one call started
        self.commits = 0
        self._thaws: dict[Actor, float] = {}
        self._frozen = trio.Event()  # somebody was frozen
        self.last_context: StepContext | None = None  # of the executor that started last
        self.oracle.still_holds = self.watch.still_holds

    # What the engine tells.

    def look(self, point: Point, *about: Any) -> None:
        process = CURRENT.get()
        self.history.count("point", point)
        if process is None:
            return
        match point:
            case Point.LOCK:
                process.refuse_if_dead()
                self.faults.at_lock(process)
            case Point.BEGIN:
                process.refuse_if_dead()
                self._pending.clear()
                self._order.begin(about[0].conn)
                self.faults.in_transaction(process, point, about[0].conn)
            case Point.VERB:
                self._verb(process, *about)
            case Point.COMMIT:
                self.faults.in_transaction(process, point, about[0].conn)
            case Point.COMMITTED:
                self._committed(process, *about)
            case Point.TAKEN_BACK:
                if len(self._pending) > 1:
                    self.history.count("batch", "taken back")
                self._pending.clear()
            case Point.START:
                self.watch.starts(process, *about)
                self.faults.between(process)
            case Point.END:
                self.watch.ends(process, *about)
                self._count_end(*about)
                self.faults.between(process)
            case Point.BYTES:
                self.faults.at_bytes(process)
            case Point.REMOVE:
                self.faults.at_removal(process)
            case _:
                pass

    def _count_end(self, holding: Holding, ended: Ended) -> None:
        """How the executors of a user's ended, by kind, and what they failed of."""
        if self.script.is_users and ended.outcome is not None:
            kind, outcome = holding.claim.kind, ended.outcome
            name = "lease lost" if isinstance(outcome, LeaseLost) else type(outcome).__name__.lower()
            self.history.count("executor", f"{kind} {name}")
            if isinstance(outcome, Failed):
                failure = outcome.failure
                self.history.count("failure", f"{kind} {failure.code}: {failure.message[:100]}")

    async def wait(self, point: Point, about: object) -> None:
        process = CURRENT.get()
        if process is not None and not process.is_dead:
            self.history.count("point", point)
            await self.faults.take_time(process, about, point)

    # What processes ask.

    async def start_runs(
        self, rt: Runtime, run_ids: Sequence[str], if_exists: IfExists = "return", *, otherwise: bool = False
    ) -> None:
        starts = self.script.starts(run_ids, self, otherwise=otherwise)
        self._asked_together.add(tuple(run_ids))
        try:
            await rt.start_runs(starts, if_exists=if_exists)
        except BaseException as error:
            if not (self.script.is_users and _is_of_entrypoint(error)):
                raise
            with self.history.in_user_code("your start or entrypoint"):
                raise

    def limit_of(self, queue: str) -> int:
        return self.oracle.queues.get(queue, self.world.default_queue).max_workers

    def end_faults(self) -> None:
        """From now on nothing goes wrong any more."""
        self.faults.is_over = True
        self.faults_are_over.set()
        for process in list(self._thaws):
            self._thaws[process] = trio.current_time()
        self._frozen.set()

    def freeze(self, process: Actor, seconds: float) -> None:
        self.history.note(f"{process.name} is frozen for {seconds:.3f}")
        self.scheduler.freeze(process)
        self._thaws[process] = max(self._thaws.get(process, 0.0), trio.current_time() + seconds)
        self._frozen.set()

    async def thaw_always(self) -> None:
        """Let frozen processes go on when it is time. Runs outside of all of them."""
        while True:
            with trio.move_on_at(min(self._thaws.values(), default=math.inf)):
                await self._frozen.wait()
            self._frozen = trio.Event()
            for process, at in list(self._thaws.items()):
                if at <= trio.current_time():
                    del self._thaws[process]
                    self.scheduler.thaw(process)

    # The clock of all processes: the trio run's time, and each one's own error.

    def now(self) -> int:
        process = CURRENT.get()
        skew = 0 if process is None else process.skew
        return VIRTUAL_EPOCH + round((trio.current_time() + skew) * 1_000_000)

    def monotonic(self) -> float:
        return trio.current_time()

    def not_before(self, at: int) -> None:
        """Nothing: one process's wrong clock is not to move the others'."""

    def _verb(self, process: Actor, tx: Any, verb: Any, answer: outcome.Outcome[Any]) -> None:
        name, asked = getattr(verb, "func", verb).__name__, getattr(verb, "keywords", {})
        refusal = answer.error if isinstance(answer, outcome.Error) else None
        if refusal is not None:
            self.history.count("refusal", type(refusal).__name__)
        value = answer.value if isinstance(answer, outcome.Value) else None
        if tx.conn.in_transaction:
            self._pending.append(Fact(process.name, name, asked, value, refusal, tx.now, trio.current_time()))
            self.faults.in_transaction(process, Point.VERB, tx.conn)
            if name == "create_runs":
                self._look_at_start(tuple(spec.id for spec in asked["specs"]))
            if name == "complete":
                self.faults.in_complete(asked["completions"])
            if isinstance(value, ClaimAnswer):
                for queue in self._order.overtaken(tx.conn, value, asked["request"]):
                    self.history.tell("a step was leased before one that stood in front of it", queue)
        elif name == "fence":
            self.oracle.denied(process.name, {token for _, token in asked["leases"]} - (value or {}).keys())

    def _look_at_start(self, run_ids: tuple[str, ...]) -> None:
        if run_ids not in self._asked_together:
            self.history.tell("runs of one call are not stored together", f"{run_ids}")

    def _committed(self, process: Actor, batch: Sequence[Any], tx: Any) -> None:
        facts, self._pending = self._pending, []
        if process.is_dead:
            self.history.tell("a dead process wrote", f"{process.name}: {[fact.verb for fact in facts]}")
        self.commits += 1
        self.history.count("batch", "of several calls" if len(batch) > 1 else "of one call")
        if len(batch) > 1 and any(fact.refusal is not None for fact in facts):
            self.history.count("batch", "with a refusal")
        for fact in facts:
            touched = set(self.oracle.touched)
            self.oracle.take(fact)
            if self.oracle.touched != touched or fact.refusal is not None:
                self.history.note(f"{process.name} {_line(fact)}")
            self.rates.take(fact)
            if fact.verb == "renew" and fact.refusal is None:
                self.watch.renewed(fact.asked["renewals"], fact.answer)
            if fact.verb == "complete" and fact.refusal is None:
                self.watch.stored(fact.asked["completions"])
        if self.script.is_users:
            self.script.saw(self._kinds_of(self.oracle.touched))
        process.told_later(tx.changes)
        self._compare(tx.conn, whole=self.commits % 50 == 0)
        self.faults.after_commit(process, batch)

    def _kinds_of(self, run_ids: Iterable[str]) -> set[str]:
        runs = [self.oracle.runs[run_id] for run_id in run_ids if run_id in self.oracle.runs]
        return {step.spec.kind for step in all_steps(runs)}

    def _compare(self, conn: sqlite3.Connection, *, whole: bool) -> None:
        touched, self.oracle.touched = self.oracle.touched, set()
        if not touched and not whole:
            return
        runs = {*self.oracle.runs, *self.oracle.deleted} if whole else touched
        for difference in differences(conn, self.oracle, runs):
            self.history.tell("the store is not as expected", difference)
        report = Report()
        for look in LOOKS:
            key: int | None = 0
            while key is not None:
                key = look(report, key, conn)
        for violation in report.found:
            self.history.tell(f"check: {violation.invariant}", f"{violation.subject} {violation.message}")

    def compare_all(self, conn: sqlite3.Connection) -> None:
        """Every row of every run."""
        self._compare(conn, whole=True)


_OF_PLANS = (ConfigError, GraphError, InputError, OptionError, PackageNotFoundError, PayloadError)


def _is_of_entrypoint(error: BaseException) -> bool:
    """Whether it was raised by an entrypoint, or for what that or a start made."""
    return isinstance(error, _OF_PLANS) or not (isinstance(error, WorkflowError) or is_of_trio(error))


def _line(fact: Fact) -> str:
    asked = ", ".join(f"{name}={_short(value)}" for name, value in fact.asked.items() if name != "new_tokens")
    return f"{fact.verb}({asked}) -> {_short(fact.answer)} {fact.refusal or ''}"


def _short(value: object) -> str:
    if isinstance(value, Completed):
        return f"{[(token[:4], end.value) for token, end in value.ended.items()]}"
    if isinstance(value, Created):
        return f"{[move.run_id for move in value.changes.runs]}"
    if isinstance(value, ClaimRequest):
        return f"{value.limit} of {sorted(value.kinds)}"
    if isinstance(value, ClaimAnswer):
        return (
            f"{value.refreshed} taken back, {[(c.step.run_id, c.step.id, c.token[:4]) for c in value.claims]}"
        )
    text = repr(sorted(cast("frozenset[str]", value)) if isinstance(value, frozenset) else value)
    return text if len(text) < 300 else f"{text[:280]}..."
