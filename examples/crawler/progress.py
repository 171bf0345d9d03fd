"""What one sees meanwhile: a bar on a terminal, a line now and then elsewhere."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, Self

import attrs
import trio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from trio_workflow import EventStream, QueueStatus, Runtime, StepStatus

TICK = 0.2
ENDED = (StepStatus.SUCCEEDED, StepStatus.FAILED, StepStatus.CANCELED)


@attrs.frozen(kw_only=True)
class Standing:
    """How far the crawl is, over all processes. again: attempts of this process that will be repeated."""

    ended: int
    total: int
    failed: int
    again: int
    queues: Sequence[QueueStatus]

    @property
    def mishaps(self) -> str:
        return f"{self.failed} failed, {self.again} to be tried again"

    def __str__(self) -> str:
        queues = [
            f"{q.queue} {q.running} running, {q.ready} waiting" for q in self.queues if q.running or q.ready
        ]
        return "; ".join([self.mishaps, *queues])


class View(AbstractContextManager["View"], Protocol):
    """Shows a standing, and says something in between."""

    def show(self, standing: Standing) -> None: ...
    def say(self, text: str) -> None: ...


class Lines:
    """A line each couple of seconds."""

    def __init__(self, console: Console, every: float = 2.0) -> None:
        self._console, self._every = console, every
        self._begun = self._next_at = trio.current_time()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing to clear away."""

    def show(self, standing: Standing) -> None:
        now = trio.current_time()
        if now >= self._next_at:
            self._next_at = now + self._every
            self.say(f"{now - self._begun:5.1f} s  {standing.ended} of {standing.total} steps: {standing}")

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class Bar:
    """One bar over all steps that are known so far; it may grow while it fills."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[mishaps]}", markup=False),
            console=console,
            auto_refresh=False,
        )
        self._task = self._progress.add_task("steps", total=None, mishaps="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def show(self, standing: Standing) -> None:
        self._progress.update(
            self._task, completed=standing.ended, total=standing.total, mishaps=standing.mishaps, refresh=True
        )

    def say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)


async def show_progress(rt: Runtime, run_id: str, view: View) -> None:
    """Show where a run is, until cancelled."""
    async with rt.events() as events, trio.open_nursery() as nursery:
        counter = Counter()
        nursery.start_soon(counter.count, events)
        while True:
            run = await rt.workflow(run_id)
            if run is not None:
                view.show(standing_of(run.counts, counter.again, await rt.queues()))
            await trio.sleep(TICK)


@attrs.define
class Counter:
    """Counts what only events tell."""

    again: int = 0

    async def count(self, events: EventStream) -> None:
        async for event in events:
            self.again += event.kind in ("step_retried", "lease_lost")


def standing_of(counts: Mapping[StepStatus, int], again: int, queues: Sequence[QueueStatus]) -> Standing:
    """What to show of a run's counts."""
    return Standing(
        ended=sum(counts.get(status, 0) for status in ENDED),
        total=sum(counts.values()),
        failed=counts.get(StepStatus.FAILED, 0),
        again=again,
        queues=queues,
    )
