"""Events for those who watch. A reader that falls behind loses the oldest; it never slows a worker."""

from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import datetime

import trio

from trio_workflow.clock import Clock
from trio_workflow.model.changes import Changes, RunMove, StepMove
from trio_workflow.model.event import Event, EventKind
from trio_workflow.model.outcome import Failure
from trio_workflow.model.records import StepError
from trio_workflow.model.status import AttemptOutcome, StepStatus
from trio_workflow.model.times import to_datetime


class EventStream(trio.abc.ReceiveChannel[Event]):
    """The events since it was opened. dropped: how many were lost because nobody took them in time."""

    def __init__(self, buffer: int) -> None:
        self._waiting: deque[Event] = deque()
        self.buffer = buffer
        self._readers = trio.lowlevel.ParkingLot()
        self._ended = False  # no more events come
        self._closed = False
        self.dropped = 0

    def __repr__(self) -> str:
        return f"<EventStream waiting={len(self._waiting)} dropped={self.dropped}>"

    async def receive(self) -> Event:
        """The next event. Raises trio.EndOfChannel when the runtime has closed and all were taken."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while True:
            if self._closed:
                raise trio.ClosedResourceError
            if self._waiting:
                event = self._waiting.popleft()
                await trio.lowlevel.cancel_shielded_checkpoint()
                return event
            if self._ended:
                raise trio.EndOfChannel
            await self._readers.park()

    async def aclose(self) -> None:
        """Stop listening."""
        self._closed = True
        self._waiting.clear()
        self._readers.unpark_all()
        await trio.lowlevel.checkpoint()

    def put_nowait(self, event: Event) -> None:
        if len(self._waiting) >= self.buffer:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(event)
        self._readers.unpark()

    def skip(self, count: int) -> None:
        """So many events came, and will be lost to those that follow at once, with all that wait."""
        self.dropped += count + len(self._waiting)
        self._waiting.clear()

    def end(self) -> None:
        """No more events come; those that wait can still be taken."""
        self._ended = True
        self._readers.unpark_all()


class EventBoard:
    """Turns what happened into events, for as many streams as are open. With none open it costs nothing."""

    def __init__(self, worker_id: str, clock: Clock) -> None:
        self._worker_id, self._clock = worker_id, clock
        self._streams: dict[EventStream, None] = {}  # in the order they came

    @contextmanager
    def stream(self, buffer: int) -> Generator[EventStream]:
        stream = EventStream(buffer)
        self._streams[stream] = None
        try:
            yield stream
        finally:
            self._streams.pop(stream, None)

    def end(self) -> None:
        for stream in self._streams:
            stream.end()

    def changed(self, changes: Changes) -> None:
        if not self._streams:
            return
        at = to_datetime(self._clock.now())
        for run in changes.runs:
            if not run.status.is_final:
                self._put(self._of_run(run, at))
        for step in self._skip_lost(changes.steps):
            if step.outcome is AttemptOutcome.LEASE_LOST:
                self._put(self._of_step("lease_lost", step, at))
            kind = _kind_of(step)
            if kind is not None:
                self._put(self._of_step(kind, step, at))
        for run in changes.runs:  # a run's end is told last: who waits for it has then seen all its steps end
            if run.status.is_final:
                self._put(self._of_run(run, at))

    def _skip_lost(self, steps: Sequence[StepMove]) -> Sequence[StepMove]:
        """The moves of a commit that some stream may still tell of; the others are only counted.

        A canceled run of 100,000 steps would else hold up the event loop for a second.
        """
        room = max(stream.buffer for stream in self._streams)
        if len(steps) <= room:
            return steps
        first = len(steps)
        while first > 0 and room > 0:
            first -= 1
            room -= _count_events(steps[first])
        lost = sum(map(_count_events, steps[:first]))
        if lost:
            for stream in self._streams:
                stream.skip(lost)
        return steps[first:]

    def note(
        self, kind: EventKind, message: str, *, queue: str | None = None, step_kind: str | None = None
    ) -> None:
        """Something that concerns no single step."""
        if self._streams:
            at = to_datetime(self._clock.now())
            self._put(
                Event(
                    kind=kind,
                    at=at,
                    worker_id=self._worker_id,
                    queue=queue,
                    step_kind=step_kind,
                    message=message,
                )
            )

    def _put(self, event: Event) -> None:
        for stream in self._streams:
            stream.put_nowait(event)

    def _of_run(self, run: RunMove, at: datetime) -> Event:
        return Event(
            kind="run_created" if run.created else "run_updated",
            at=at,
            worker_id=self._worker_id,
            run_id=run.run_id,
            package=run.package,
            status=run.status,
            message=run.name,
        )

    def _of_step(self, kind: EventKind, step: StepMove, at: datetime) -> Event:
        return Event(
            kind=kind,
            at=at,
            worker_id=self._worker_id,
            run_id=step.run_id,
            step_id=step.step_id,
            package=step.package,
            queue=step.queue,
            step_kind=step.kind,
            attempt=step.attempt,
            status=step.status,
            queue_wait=step.queue_wait,
            message="" if step.failure is None else step.failure.message,
            error=None if step.failure is None else step_error(step.failure, at),
        )


def _count_events(step: StepMove) -> int:
    return (step.outcome is AttemptOutcome.LEASE_LOST) + (_kind_of(step) is not None)


def _kind_of(step: StepMove) -> EventKind | None:
    if step.status is StepStatus.RUNNING:
        return "step_leased"
    if step.status is StepStatus.SUCCEEDED:
        return "step_succeeded"
    if step.status is StepStatus.FAILED:
        return "step_failed"
    if step.status is StepStatus.CANCELED:
        return "step_canceled"
    if step.outcome in (AttemptOutcome.RETRIED, AttemptOutcome.TIMEOUT):
        return "step_retried"
    return "step_released" if step.outcome is AttemptOutcome.RELEASED else None


def step_error(failure: Failure, at: datetime) -> StepError:
    """A failure as records show it."""
    return StepError(
        code=failure.code,
        message=failure.message,
        retryable=failure.retryable,
        details=failure.details,
        occurred_at=at,
        traceback=failure.traceback,
    )
