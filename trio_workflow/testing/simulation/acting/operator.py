"""An operator of a process: starts runs, cancels, retries, deletes and waits, at times of the seed."""

import math
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import closing

import trio

from trio_workflow.errors import RuntimeClosedError, StoreUnavailableError
from trio_workflow.runtime.runs import IfExists
from trio_workflow.runtime.runtime import Runtime
from trio_workflow.store.sqlite.connections import LOCK_WAIT
from trio_workflow.testing.simulation.actor import Actor
from trio_workflow.testing.simulation.expected.refusals import REFUSALS
from trio_workflow.testing.simulation.expected.runs import CANCELED, FAILED, PENDING, ExpectedRun
from trio_workflow.testing.simulation.looks.reading import look_at_queues, look_at_run
from trio_workflow.testing.simulation.looks.rest import look_at_freed
from trio_workflow.testing.simulation.stage import Stage
from trio_workflow.testing.simulation.world import Fault, Feature

_HOLDS_UP = frozenset({Fault.SLOW, Fault.FREEZE, Fault.BLOCK, Fault.LATE_PUT})
"""With these whatever is under way may take any time."""


class Operator:
    """Tells when what was acknowledged is not so."""

    def __init__(self, stage: Stage, process: Actor, rt: Runtime, number: int) -> None:
        self._stage, self._process, self._rt = stage, process, rt
        self._world, self._oracle = stage.world, stage.oracle
        self._roll = stage.world.random(f"operator {number} of {process.name}")
        self._aside = stage.world.random(f"aside operator {number} of {process.name}")

    async def operate(self) -> None:
        """Until the faults are over; then what is left to start is started."""
        pause = self._world.duration / (2 + 2 * self._world.runs)
        while True:
            action = self._start if self._stage.unstarted else self._another()
            await self._do(action)
            if not self._stage.faults.is_over:
                await trio.sleep(self._until(pause))
            elif not self._stage.unstarted:
                return
            else:
                await trio.sleep(0.1)

    def _until(self, pause: float) -> float:
        """Seconds to wait: often until a round time, at which others act too."""
        wait = self._roll.random() * 2 * pause
        if self._roll.random() < 0.5:
            return wait
        return math.ceil(trio.current_time() + wait) - trio.current_time()

    def _gone(self) -> list[str]:
        """Deleted runs, where the bytes of the next one to have the id are the same."""
        has_same = self._world.has(Feature.SAME_BYTES)
        return sorted(self._oracle.deleted - self._oracle.runs.keys()) if has_same else []

    def _another(self) -> Callable[[], Awaitable[None]]:
        if self._gone() and self._roll.random() < 0.5:
            return self._start_again
        chances = {
            Fault.CANCEL_RUN: (self._cancel,),
            Fault.RETRY: (self._retry_run, self._retry_step),
            Fault.DELETE: (self._delete, self._prune),
        }
        actions = [a for fault, actions in chances.items() if self._world.has(fault) for a in actions]
        others = self._roll.choice((self._wait, self._start_again, self._look))
        return self._roll.choice([others, *actions])

    async def _do(self, action: Callable[[], Awaitable[None]]) -> None:
        patience = float("inf")
        if self._stage.faults.strikes(Fault.IMPATIENT, 0.5):
            patience = self._roll.choice((0.0, 0.3)) * self._roll.random() * self._world.lease
        leaves_at = trio.current_time() + patience
        try:
            with trio.move_on_after(patience):
                await action()
            self._has_left(action.__name__, leaves_at)
        except RuntimeClosedError:
            if not self._process.is_dead:
                raise
        except (*REFUSALS, StoreUnavailableError) as refusal:
            self._stage.history.note(f"{self._process.name} was refused: {type(refusal).__name__}")

    def _has_left(self, action: str, leaves_at: float) -> None:
        """One that is cancelled waits for what is under way, not for a store that others have locked."""
        late = trio.current_time() - leaves_at
        if late > 2 * LOCK_WAIT + 0.01 and not self._world.faults & _HOLDS_UP:
            self._stage.history.tell("a call that was cancelled went on", f"{action} for {late:.3f} s")

    async def _start(self) -> None:
        """Some at once."""
        run_ids = self._stage.unstarted[: self._roll.choice((1, 1, 2))]
        await self._stage.start_runs(self._rt, run_ids)
        for run_id in run_ids:
            if run_id not in self._oracle.runs and run_id not in self._oracle.deleted:
                self._stage.history.tell("a start was acknowledged and is not stored", run_id)
            if run_id in self._stage.unstarted:
                self._stage.unstarted.remove(run_id)
        if self._world.is_calm and self._aside.random() < 0.5:  # while its first steps run
            await self._wait_for(run_ids[0])

    async def _start_again(self) -> None:
        """What was started before: it is there, or was deleted, and then another may have its id."""
        gone = self._gone()
        run_ids = [
            self._roll.choice(gone) if gone else self._some_run() for _ in range(self._roll.choice((1, 1, 2)))
        ]
        if_exists: IfExists = "raise" if self._roll.random() < 0.3 else "return"
        await self._stage.start_runs(self._rt, run_ids, if_exists, otherwise=self._roll.random() < 0.2)

    def _some_run(self) -> str:
        return self._roll.choice(self._stage.started_ids)

    async def _cancel(self) -> None:
        self._stage.faults.count(Fault.CANCEL_RUN)
        run_id = self._some_run()
        held = [token for token, step in self._oracle.running.items() if step.run.id == run_id]
        started = Counter(self._stage.watch.started)
        await self._rt.cancel_run(run_id)
        self._stage.watch.knows_canceled(self._process, run_id)
        if (self._process.name, run_id) not in self._oracle.cancels:
            self._stage.history.tell("a cancel was acknowledged and is not stored", run_id)
        if any(self._oracle.enders.get(token) == self._process.name for token in held):
            await look_at_freed(self._stage, self._process, started)

    def _failed_run(self) -> str:
        """One with failed steps, if there is one."""
        runs = self._oracle.runs.values()
        failed = [run.id for run in runs if any(step.status is FAILED for step in run.steps.values())]
        return self._roll.choice(failed) if failed else self._some_run()

    async def _retry_run(self) -> None:
        self._stage.faults.count(Fault.RETRY)
        await self._rt.retry_run(self._failed_run())

    async def _retry_step(self) -> None:
        self._stage.faults.count(Fault.RETRY)
        run_id = self._failed_run()
        run = self._oracle.runs.get(run_id)
        failed = [] if run is None else [s.spec.id for s in run.steps.values() if s.status is FAILED]
        entangled = [] if run is None else sorted(_entangled(run))
        await self._rt.retry_step(run_id, self._roll.choice(entangled or failed or ["s0"]))

    async def _delete(self) -> None:
        self._stage.faults.count(Fault.DELETE)
        run_id = self._some_run()
        run_key = self._row("SELECT run_key FROM runs WHERE id = ?", run_id)
        await self._rt.delete_run(run_id)
        if run_key is not None and self._row("SELECT 1 FROM trash WHERE run_key = ?", run_key):
            self._stage.history.tell("rows are left of a run that was deleted", run_id)

    def _row(self, sql: str, param: object) -> object:
        """The first column of the row, None without a row."""
        with closing(sqlite3.connect(self._stage.store)) as conn:
            row = conn.execute(sql, (param,)).fetchone()
        return None if row is None else row[0]

    async def _prune(self) -> None:
        self._stage.faults.count(Fault.DELETE)
        age = self._roll.random() * self._world.duration
        self._oracle.prunes.setdefault(self._process.name, set()).add(age)
        await self._rt.prune(age)

    async def _look(self) -> None:
        """At a run, or at the queues. If something is committed meanwhile, what is seen may be old."""
        run, commits = self._oracle.runs.get(self._some_run()), self._stage.commits
        differences = await (
            look_at_queues(self._stage, self._rt)
            if run is None or self._roll.random() < 0.3
            else look_at_run(self._rt, run)
        )
        for difference in differences if commits == self._stage.commits else ():
            self._stage.history.tell("something else was read than is stored", difference)

    async def _wait(self) -> None:
        await self._wait_for(self._some_run())

    async def _wait_for(self, run_id: str) -> None:
        with trio.move_on_after(self._world.lease):
            self._process.waits_for.append(run_id)
            try:
                run = await self._rt.wait(run_id)
            finally:
                self._process.waits_for.remove(run_id)
            expected = self._oracle.runs.get(run_id)
            if expected is not None and not run.status.is_final:
                self._stage.history.tell("a wait answered a run that goes on", run_id)


def _entangled(run: ExpectedRun) -> set[str]:
    """Failed steps that share a canceled one with another cause, or that one which waits can do without."""
    causes = [run.causes_of(step) for step in run.steps.values() if step.status is CANCELED]
    shared = {step_id for some in causes if len(some) > 1 for step_id in some}
    waited = {need for step in run.steps.values() if step.status is PENDING for need in step.needs}
    return shared | {step_id for step_id in waited if run.steps[step_id].status is FAILED}
