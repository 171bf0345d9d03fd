"""The process that starts runs: python -m tests.chaos.starter ROOT PER_SECOND SEED. SIGTERM ends it, and
SIGWINCH has it open a second runtime on the same file for a while.

What start_run and cancel_run acknowledged, and what wait answered, it notes outside the database. It starts
nothing new while too many of its runs have not ended.
"""

import itertools
import os
import random
import signal
import sys
from pathlib import Path

import attrs
import trio

from trio_workflow import RunHandle, RunNotFoundError, Runtime, StoreUnavailableError

from .journal import READS, STARTS, Journal
from .program import SECOND_RUNTIME, Site, begin_process, opened
from .second import open_second
from .workload import PACKAGE, Order

OPEN_RUNS = 40
CANCELED = 0.06
"""The share of runs that are canceled on the way."""


@attrs.frozen
class Starter:
    rt: Runtime
    journal: Journal
    reads: Journal
    dice: random.Random
    starting: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    places: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(OPEN_RUNS))

    async def start_always(self, per_second: float) -> None:
        """Until `starting` is cancelled, and then until all that was started has ended."""
        async with trio.open_nursery() as nursery:
            with self.starting:
                for number in itertools.count():
                    await self.places.acquire_on_behalf_of(number)
                    nursery.start_soon(self._see_through, number)
                    await trio.sleep(self.dice.expovariate(per_second))

    async def _see_through(self, number: int) -> None:
        is_canceled = self.dice.random() < CANCELED
        run = await self._start(number)
        if is_canceled:
            await trio.sleep(self.dice.uniform(0, 2))
            await self._cancel(run.id)
        try:
            self.journal.note("ended", run=run.id, status=(await run.wait()).status)
        except RunNotFoundError:
            self.journal.note("gone", run=run.id)
        self.places.release_on_behalf_of(number)

    async def _start(self, number: int) -> RunHandle:
        order, run_id = Order(number), f"run-{number}"
        while True:
            try:
                run = await self.rt.start_run(PACKAGE, order, run_id=run_id, if_exists="return")
            except StoreUnavailableError:
                await trio.sleep(0.1)
            else:
                self.journal.note("started", run=run.id, order=number)
                return run

    async def _cancel(self, run_id: str) -> None:
        while True:
            try:
                await self.rt.cancel_run(run_id)
            except StoreUnavailableError:
                await trio.sleep(0.1)
            else:
                self.journal.note("canceled", run=run_id)
                return


async def obey(site: Site, starter: Starter, task_status: trio.TaskStatus[None]) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, SECOND_RUNTIME) as signals:
        task_status.started()
        async for number in signals:
            if number == SECOND_RUNTIME:
                await second(site, starter.reads)
            else:
                starter.starting.cancel()


async def second(site: Site, log: Journal) -> None:
    """A store that cannot be read now is left alone."""
    try:
        await open_second(site, f"starter-{os.getpid()}", log=log, works=False)
    except StoreUnavailableError:
        return


async def main(site: Site, per_second: float, seed: int) -> None:
    async with opened(site, f"starter-{os.getpid()}") as rt, trio.open_nursery() as nursery:
        starter = Starter(rt, Journal(site.logs / STARTS), Journal(site.logs / READS), random.Random(seed))
        await nursery.start(lambda task_status: obey(site, starter, task_status))
        await starter.start_always(per_second)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    begin_process()
    trio.run(main, Site(Path(sys.argv[1])), float(sys.argv[2]), int(sys.argv[3]))
