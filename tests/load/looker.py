"""A process with many runtimes that work nothing: python -m tests.load.looker ROOT SEED, until SIGTERM.

Each runtime reads a few times a second, so that much has happened to the file between two of its reads: it
was made larger, cut, and is in the middle of a checkpoint.
"""

import os
import random
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import trio
from chaos.journal import Journal
from chaos.program import Site, begin_process

from trio_workflow import Runtime, StoreUnavailableError

from .journals import journal_path
from .leaks import Leaks
from .log_journal import log_to
from .open_flag import OpenFlag
from .settings import config_of, opened

RUNTIMES = 8
LONGEST_PAUSE = 0.6
POLL = 0.5


async def read_always(rt: Runtime, drawn: random.Random) -> None:
    while True:
        await trio.sleep(drawn.uniform(0, LONGEST_PAUSE))
        try:
            await rt.runs(limit=drawn.randint(1, 20))
        except StoreUnavailableError:
            await trio.sleep(0.1)


async def serve(site: Site, flag: OpenFlag, drawn: random.Random) -> None:
    async with AsyncExitStack() as stack:
        signals = stack.enter_context(trio.open_signal_receiver(signal.SIGTERM))
        runtimes: list[Runtime] = []
        for number in range(RUNTIMES):
            name = f"looker-{os.getpid()}-{number}"
            config = config_of(site, name, queues={}, poll_interval=POLL)
            runtimes.append(await stack.enter_async_context(opened(config)))
        with flag.raised():
            async with trio.open_nursery() as nursery:
                for rt in runtimes:
                    nursery.start_soon(read_always, rt, drawn)
                await anext(signals)
                nursery.cancel_scope.cancel()


def main(site: Site, seed: str) -> None:
    journal = Journal(journal_path(site, "looker"))
    log_to(journal)
    flag, leaks = OpenFlag(site.root), Leaks()
    trio.run(serve, site, flag, random.Random(seed))
    journal.note("left", is_measured=False, **leaks.facts())
    flag.close()


if __name__ == "__main__":
    begin_process()
    main(Site(Path(sys.argv[1])), sys.argv[2])
