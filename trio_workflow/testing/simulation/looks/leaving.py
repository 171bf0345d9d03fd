"""What must hold when a cycle, a drain, or a process has come to its end."""

from collections import Counter

import attrs

from trio_workflow.runtime.runtime import Runtime
from trio_workflow.runtime.workers import CycleResult
from trio_workflow.testing.simulation.actor import Actor
from trio_workflow.testing.simulation.stage import Stage
from trio_workflow.testing.simulation.world import Fault

WORDS = ("succeeded", "retried", "failed", "released")  # of CycleResult

FAILING = frozenset({Fault.LOST_ANSWER, Fault.SLOW, Fault.LOCKED, Fault.DISK_FULL, Fault.IO_ERROR})
"""With what a store may fail to take a step back."""


def _runs(stage: Stage, process: Actor) -> bool:
    return any(execution.process is process for execution in stage.watch.executions.values())


def look_at_rest(stage: Stage, process: Actor, what: str) -> None:
    """Nothing that it started runs any more."""
    if _runs(stage, process) and not process.is_dead:
        stage.history.tell(f"{what} returned before what it started had ended", process.name)


@attrs.frozen
class Done:
    """What a process has done so far: how its attempts ended, and how many it started, by queue."""

    ended: Counter[str]
    started: Counter[str]

    @classmethod
    def by(cls, process: Actor, stage: Stage) -> "Done":
        return cls(_of(process, stage.oracle.ended), _of(process, stage.watch.started_by))


def _of(process: Actor, counts: Counter[tuple[str, str]]) -> Counter[str]:
    return Counter({what: times for (name, what), times in counts.items() if name == process.name})


def look_at_cycle(stage: Stage, process: Actor, result: CycleResult, before: Done) -> None:
    """before: what it had done when the cycle began. Nothing else was at work in it."""
    now = Done.by(process, stage)
    for queue, times in (now.started - before.started).items():
        if times > stage.oracle.most[queue]:
            stage.history.tell("a cycle started more of a queue than its limit", f"{queue}: {times}")
    if result.processed > process.config.max_workers:
        stage.history.tell("a cycle started more than max_workers", f"{process.name}: {result}")
    told, ended = Counter({word: getattr(result, word) for word in WORDS}), now.ended - before.ended
    is_whole = result.processed == told.total() + result.canceled
    if not stage.world.has(Fault.LOST_ANSWER) and (+told != ended or not is_whole):
        stage.history.tell("a cycle tells of other ends than there were", f"{result}, not {ended}")


def look_at_drain(stage: Stage, process: Actor, *, went_on: bool) -> None:
    """went_on: it was not waited for any longer."""
    if process.is_dead:
        return
    if not went_on:
        look_at_rest(stage, process, "a drain")
    elif not _runs(stage, process) and not stage.world.faults & FAILING:
        stage.history.tell("a drain goes on although nothing runs", process.name)


def look_at_slots(stage: Stage, process: Actor, rt: Runtime) -> None:
    """All are free when the workers have ended."""
    running = rt.statistics().running
    if running and not process.is_dead:
        stage.history.tell("slots are taken although nothing runs", f"{process.name}: {running}")


def look_back(stage: Stage, process: Actor) -> None:
    """A process that ended in order has given back what it had."""
    if process.is_dead or stage.world.faults & (FAILING | {Fault.FREEZE, Fault.BLOCK}):
        return
    running, owners = stage.oracle.running, stage.oracle.owners
    kept = [step.name for token, step in running.items() if owners[token] == process.name]
    if kept:
        stage.history.tell("a process that ended keeps its steps", f"{process.name}: {kept}")
