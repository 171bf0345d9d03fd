"""A client of a service: it notes what it asks for before each call, and what was acknowledged after it.

Rule 1: an intent ("starting", "deleting") is noted before the call, since a call that is cut off may have
happened. Rule 2: an acknowledgement ("started", "deleted") is noted with nothing awaited after the call.
Rule 3: what a read returns against the promises is noted as "wrong", with a sentence.
"""

import json
import random
import time
from collections.abc import Awaitable, Callable
from enum import Enum
from functools import partial

import attrs
from chaos.journal import Journal
from chaos.program import Site

from trio_workflow import (
    RunHandle,
    RunNotFoundError,
    RunStateError,
    Runtime,
    StartRun,
    StepStateError,
    WorkflowRun,
)

from .workload import PACKAGE, Order, total

REFUSALS = (RunNotFoundError, RunStateError, StepStateError)
"""Another client or process was first."""


class Change(Enum):
    """intent, done: the words of its entries in the journal."""

    CANCEL = ("canceling", "canceled")
    RETRY = ("retrying", "retried")
    DELETE = ("deleting", "deleted")

    @property
    def intent(self) -> str:
        return self.value[0]

    @property
    def done(self) -> str:
        return self.value[1]


def order_of(run: WorkflowRun) -> Order:
    return Order(**json.loads(run.input))


@attrs.define(eq=False)
class Client:
    """runtimes: those that the process has open all the time. sequence: how many runs it has started.

    calls: how many changes it has asked for.
    """

    site: Site
    name: str
    runtimes: list[Runtime]
    journal: Journal
    random: random.Random
    sequence: int = 0
    calls: int = 0

    @property
    def rt(self) -> Runtime:
        return self.random.choice(self.runtimes)

    def next_start(self, shape: str) -> StartRun:
        self.sequence += 1
        order = Order(self.random.randrange(10**9), self.random.choice((1, 2, 3, 3, 4, 6, 9)), shape)
        return StartRun(PACKAGE, order, run_id=f"{self.name}-{self.sequence}")

    async def start(self, shape: str = "sum") -> tuple[RunHandle, Order]:
        """Start a run; its start is journaled as acknowledged. Raises StoreUnavailableError."""
        start = self.next_start(shape)
        self.note_start("starting", start)
        handle = await self.rt.start_run(start.package_name, start.input, run_id=start.run_id)
        self.note_start("started", start)
        assert isinstance(start.input, Order)
        return handle, start.input

    def note_start(self, what: str, start: StartRun) -> None:
        assert isinstance(start.input, Order)
        self.journal.note(what, run=start.run_id, order=attrs.asdict(start.input))

    async def see_end(self, rt: Runtime, run_id: str) -> WorkflowRun | None:
        """Wait for the end of a run and journal it; None if the run is gone."""
        asked = time.monotonic_ns()
        try:
            run = await rt.wait(run_id)
        except RunNotFoundError:
            self.note_missing(run_id)
            return None
        self.note_end(run, asked)
        return run

    def note_end(self, run: WorkflowRun, asked: int) -> None:
        """asked: when the read began, on the journal's clock. finished: microseconds since 1970."""
        assert run.finished_at is not None
        finished = round(run.finished_at.timestamp() * 1_000_000)
        self.journal.note("ended", run=run.id, status=str(run.status), finished=finished, asked=asked)

    def note_missing(self, run_id: str) -> None:
        self.journal.note("missing", run=run_id)

    def note_wrong(self, message: str) -> None:
        self.journal.note("wrong", message=message)

    async def check_sum(self, run_id: str, order: Order) -> None:
        """Read the sum of a run that was seen to have succeeded."""
        rt = self.rt
        result = await rt.result(run_id, "join")
        if result is None:
            await self.check_gone(rt, run_id, "its join has no result")
        elif result.value(int) != total(order):
            self.note_wrong(f"{run_id} has the sum {result.data}, and {total(order)} is right")

    async def check_gone(self, rt: Runtime, run_id: str, what: str) -> None:
        """A part of a run was not found: the whole run must be gone."""
        if await rt.workflow(run_id) is None:
            self.note_missing(run_id)
        else:
            self.note_wrong(f"{run_id} is there and succeeded, and {what}")

    async def change(self, change: Change, run_id: str) -> bool:
        """Cancel, retry or delete a run, with its entries in the journal; False if it was refused."""
        rt = self.rt
        calls = {
            Change.CANCEL: rt.cancel_run,
            Change.RETRY: rt.retry_run,
            Change.DELETE: rt.delete_run,
        }
        return await self.journaled(change, run_id, partial(calls[change], run_id))

    async def journaled(self, change: Change, run_id: str, call: Callable[[], Awaitable[None]]) -> bool:
        """A call that changes a run. What was refused is noted, since an intent alone may have happened."""
        self.calls += 1
        key = f"{self.name}/{self.calls}"
        self.journal.note(change.intent, run=run_id, call=key)
        try:
            await call()
        except REFUSALS as error:
            self.journal.note("refused", run=run_id, call=key)
            if isinstance(error, RunNotFoundError):
                self.note_missing(run_id)
            return False
        self.journal.note(change.done, run=run_id, call=key)
        return True
