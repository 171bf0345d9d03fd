"""What the world of a user's package waits for when the faults have stopped: all that may still happen.

Rule: while something is due at a later date, or an executor runs, time goes on, as long as the user's
patience lasts. Where neither is so, something must happen soon, or nothing ever will.
"""

from collections.abc import Callable, Iterator, Mapping

import trio

from trio_workflow.clock import VIRTUAL_EPOCH
from trio_workflow.testing.simulation.actor import Actor
from trio_workflow.testing.simulation.expected.runs import PENDING, READY, ExpectedStep, all_steps
from trio_workflow.testing.simulation.stage import Stage

STILL = 3000.0
"""Seconds of virtual time without any change after which nothing is expected any more."""

LONGEST_PAUSE = 60.0


async def until_gone(stage: Stage, processes: Mapping[int, Actor]) -> None:
    """Until all these have ended: that takes as long as their executors go on after they were cancelled."""
    pause = 0.1
    with trio.move_on_after(stage.script.limits.patience) as scope:
        while processes:
            await trio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
    if scope.cancelled_caught:
        told = ", ".join(_executing(stage)) or "none that is known"
        stage.history.tell("executors do not return", f"although they were cancelled: {told}{_hint(stage)}")


async def until_all_ended(stage: Stage, look: Callable[[], None]) -> bool:
    """look: called now and then. Answers whether all steps ended; what is left has been told if not."""
    waiting = _Waiting(stage)
    while _open_steps(stage):
        await trio.sleep(waiting.pause())
        look()
        if _open_steps(stage) and (why := waiting.is_in_vain()):
            stage.history.tell("not everything ended", f"{why}: {'; '.join(what_is_left(stage))}")
            return False
    return True


def what_is_left(stage: Stage) -> list[str]:
    """A line for each step that has not ended, and why."""
    steps = _open_steps(stage)
    told = [f"{step.name} is {_state(stage, step)}" for step in steps[:10]]
    return told if len(steps) <= 10 else [*told, f"and {len(steps) - 10} more"]


class _Waiting:
    """since: when a step last started or ended, or the last date that was seen. changed: when something last
    happened, or an executor ran."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._since = self._changed = trio.current_time()
        self._seen: object = None
        self._pause = 1.0

    def pause(self) -> float:
        """Seconds until it is worth another look."""
        seen = self._stage.watch.started.total(), len(_open_steps(self._stage))
        self._pause = min(1.5 * self._pause, LONGEST_PAUSE)
        if seen != self._seen:
            self._seen, self._pause = seen, 1.0
            self._since = max(self._since, trio.current_time())
            self._changed = trio.current_time()
        return self._pause

    def is_in_vain(self) -> str:
        """Why, if it is."""
        now, dates = trio.current_time(), list(_dates(self._stage))
        self._since = max(self._since, *dates, 0.0)
        if now > self._since + self._stage.script.limits.patience:
            return f"nothing changed for {self._stage.script.limits.patience:g} s{_hint(self._stage)}"
        if dates or self._stage.watch.executions:
            self._changed = now
        return "nothing can happen any more" if now > self._changed + self._still() else ""

    def _still(self) -> float:
        intervals = [self._stage.rates.interval(step.spec.queue) for step in _open_steps(self._stage)]
        return STILL + 2 * self._stage.world.lease + max(intervals, default=0.0)


def _open_steps(stage: Stage) -> list[ExpectedStep]:
    return [step for step in all_steps(stage.oracle.runs.values()) if not step.status.is_final]


def _dates(stage: Stage) -> Iterator[float]:
    """Those that lie ahead."""
    for step in _open_steps(stage):
        if step.status is READY and step.ready_at > stage.now():
            yield _seconds(step.ready_at)


def _seconds(at: int) -> float:
    return (at - VIRTUAL_EPOCH) / 1_000_000


def _executing(stage: Stage) -> list[str]:
    executions = stage.watch.executions.values()
    return [f"{e.step} on {e.process.name}, since {e.started_at:.1f} s" for e in executions]


def _state(stage: Stage, step: ExpectedStep) -> str:
    if step.status is PENDING:
        waits = [name for name in step.needs if not step.run.steps[name].status.is_final]
        return f"pending, waits for {', '.join(waits)}"
    if step.status is READY:
        has_none = (
            "" if stage.script.has_executor(step.spec.kind) else f', no executor for "{step.spec.kind}"'
        )
        return f"ready, ready_at {_seconds(step.ready_at):.1f} s{has_none}"
    execution = stage.watch.executions.get(step.token or "")
    if execution is None:
        return "running, and its worker is gone"
    was_told = "" if execution.holding.reason is None else " although it was cancelled"
    return f"running, its executor runs since {execution.started_at:.1f} s{was_told}"


def _hint(stage: Stage) -> str:
    return f" (patience={stage.script.limits.patience:g}; give more if that is as it should be)"
