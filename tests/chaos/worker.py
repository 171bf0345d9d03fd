"""A worker process: python -m tests.chaos.worker ROOT.

SIGTERM drains it; SIGHUP cancels its workers; SIGINT interrupts it, as a keyboard does. SIGWINCH has it open
a second runtime on the same file for a while, and SIGURG remove runs. Where no small disk can be mounted,
SIGUSR1 lets its database grow no more, and SIGUSR2 lets it grow again.
"""

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Any

import attrs
import trio

from trio_workflow import Runtime, StoreUnavailableError

from .journal import EXECUTIONS, READS, REMOVALS, Journal
from .program import REMOVE_RUNS, SECOND_RUNTIME, Site, begin_process, opened
from .removal import remove_runs
from .second import open_second
from .steps import journals
from .stuck import write_when_asked


@attrs.frozen
class Beside:
    """What a worker does besides its work. Its journals are opened early: descriptors may become rare."""

    site: Site
    rt: Runtime
    removals: Journal
    reads: Journal

    @classmethod
    def of(cls, site: Site, rt: Runtime) -> "Beside":
        return cls(site, rt, Journal(site.logs / REMOVALS), Journal(site.logs / READS))

    async def carry_out(self, number: int) -> None:
        """A store that cannot be written or read now ends it, and nothing else."""
        try:
            if number == REMOVE_RUNS:
                await remove_runs(self.rt, self.removals)
            else:
                await open_second(self.site, f"worker-{os.getpid()}", log=self.reads, works=True)
        except StoreUnavailableError as error:
            logging.getLogger("chaos").warning("given up: %s", error)


async def obey(
    beside: Beside, rt: Runtime, nursery: trio.Nursery, task_status: trio.TaskStatus[None]
) -> None:
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, SECOND_RUNTIME, REMOVE_RUNS)
    with trio.open_signal_receiver(*numbers) as signals:
        journals[0].note("ready")
        task_status.started()
        async for number in signals:
            if number in (SECOND_RUNTIME, REMOVE_RUNS):
                nursery.start_soon(beside.carry_out, number)
                continue
            if number in (signal.SIGUSR1, signal.SIGUSR2):
                await limit_pages(rt, 1 if number == signal.SIGUSR1 else 2**30)
                continue
            if number == signal.SIGTERM:
                await rt.drain()
            nursery.cancel_scope.cancel()


async def limit_pages(rt: Runtime, pages: int) -> None:
    """A limit below the size of the file means that size: SQLITE_FULL when it has to grow."""
    store: Any = rt._engine.store
    await store._writer.submit(lambda tx: tx.conn.execute(f"PRAGMA max_page_count = {pages}"), locks=False)


async def main(site: Site) -> None:
    async with opened(site, f"worker-{os.getpid()}") as rt, trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: obey(Beside.of(site, rt), rt, nursery, task_status))
        await nursery.start(rt.start_workers)


if __name__ == "__main__":
    begin_process()
    write_when_asked()
    place = Site(Path(sys.argv[1]))
    journals.append(Journal(place.logs / EXECUTIONS))
    try:
        # An interrupt that came before, while modules were imported, comes here.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        trio.run(main, place)
    except* KeyboardInterrupt:
        pass
