"""A worker process: python -m tests.chaos.worker ROOT.

SIGTERM drains it; SIGHUP cancels its workers. Where no small disk can be mounted, SIGUSR1 lets its database
grow no more, and SIGUSR2 lets it grow again.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import trio

from trio_workflow import Runtime

from .journal import EXECUTIONS, Journal
from .program import Site, begin_process, opened
from .steps import journals


async def obey(rt: Runtime, scope: trio.CancelScope, task_status: trio.TaskStatus[None]) -> None:
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
    with trio.open_signal_receiver(*numbers) as signals:
        journals[0].note("ready")
        task_status.started()
        async for number in signals:
            if number in (signal.SIGUSR1, signal.SIGUSR2):
                await limit_pages(rt, 1 if number == signal.SIGUSR1 else 2**30)
                continue
            if number == signal.SIGTERM:
                await rt.drain()
            scope.cancel()


async def limit_pages(rt: Runtime, pages: int) -> None:
    """A limit below the size of the file means that size: SQLITE_FULL when it has to grow."""
    store: Any = rt._engine.store
    await store._writer.submit(lambda tx: tx.conn.execute(f"PRAGMA max_page_count = {pages}"), locks=False)


async def main(site: Site) -> None:
    async with opened(site, f"worker-{os.getpid()}") as rt, trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: obey(rt, nursery.cancel_scope, task_status))
        await nursery.start(rt.start_workers)


if __name__ == "__main__":
    begin_process()
    place = Site(Path(sys.argv[1]))
    journals.append(Journal(place.logs / EXECUTIONS))
    trio.run(main, place)
