"""Who listens to a process: what its events tell must be what its commits have changed, in that order."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import trio

from trio_workflow.model.changes import Changes, StepMove
from trio_workflow.model.event import Event
from trio_workflow.model.status import AttemptOutcome, StepStatus
from trio_workflow.runtime.runtime import Runtime
from trio_workflow.testing.simulation.actor import Actor, Told


class Ears:
    """Of one process."""

    def __init__(self, process: Actor, tell: Callable[[str, str], None]) -> None:
        self._process, self._tell = process, tell
        self._to_tell: list[Told] = []  # what commits changed, as events should tell it
        self._told = 0  # how many of those were
        self._heard: list[Event] = []

    def told_later(self, changes: Sequence[Changes]) -> None:
        """A commit has changed this."""
        self._to_tell.extend(told for change in changes for told in _events_of(change))

    @property
    def unheard(self) -> list[Told]:
        """What is still to come."""
        return self._to_tell[self._told :]

    async def hear(self, stream: trio.abc.ReceiveChannel[Event]) -> None:
        async for event in stream:
            self._heard.append(event)
            if event.run_id is None:
                continue
            status = None if event.status is None else str(event.status)
            told: Told = (event.kind, event.run_id, event.step_id, event.attempt, status)
            expected = self._to_tell[self._told] if self._told < len(self._to_tell) else None
            self._told += 1
            if told != expected:
                self._tell("events are not what was committed", f"{told}, not {expected}")

    async def hear_late(self, rt: Runtime) -> None:
        """What a slow reader loses are the oldest, and it is told how many."""
        buffer, place = 2, 0  # in all that were told, of those that are to come
        async with rt.events(buffer=buffer) as stream:
            for taken in itertools.count():
                before = len(self._heard)
                try:
                    event = await stream.receive()
                except trio.EndOfChannel:
                    return
                await trio.sleep(0.3)
                if self._process.is_dead:  # of what comes after the end the other reader hears nothing
                    return
                for _ in range(10):  # both were frozen, and this one woke first
                    if not any(event is heard for heard in self._heard):
                        await trio.sleep(0.1)
                found = [i for i in range(place, len(self._heard)) if self._heard[i] is event]
                if not found or found[0] < before - buffer or found[0] - taken > stream.dropped:
                    about = f"{event} at {found} of {len(self._heard)} after {taken}, {stream.dropped} lost"
                    self._tell("a slow reader lost other events than it was told", about)
                place = found[0] + 1 if found else place


_KINDS: dict[Any, str] = {
    StepStatus.RUNNING: "step_leased",
    StepStatus.SUCCEEDED: "step_succeeded",
    StepStatus.FAILED: "step_failed",
    StepStatus.CANCELED: "step_canceled",
    AttemptOutcome.RETRIED: "step_retried",
    AttemptOutcome.TIMEOUT: "step_retried",
    AttemptOutcome.RELEASED: "step_released",
}


def _events_of(changes: Changes) -> list[Told]:
    """The ends of runs are told last."""
    runs: dict[bool, list[Told]] = {False: [], True: []}
    for run in changes.runs:
        kind = "run_created" if run.created else "run_updated"
        runs[run.status.is_final].append((kind, run.run_id, None, None, run.status.value))
    steps = [told for move in changes.steps for told in _of_step(move)]
    return [*runs[False], *steps, *runs[True]]


def _of_step(move: StepMove) -> list[Told]:
    kinds = ["lease_lost"] if move.outcome is AttemptOutcome.LEASE_LOST else []
    kind = _KINDS.get(move.status) or _KINDS.get(move.outcome)
    return [
        (kind, move.run_id, move.step_id, move.attempt, move.status.value)
        for kind in [*kinds, kind]
        if kind is not None
    ]
