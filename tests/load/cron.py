"""A cron process: python -m tests.load.cron ROOT SEED. It opens a runtime, runs some cycles, and leaves."""

import os
import random
import sys
from pathlib import Path

import trio
from chaos.journal import Journal
from chaos.program import Site, begin_process

from trio_workflow import StoreUnavailableError

from .client import Client
from .journals import journal_path
from .leaks import Leaks
from .log_journal import log_to
from .open_flag import OpenFlag
from .settings import config_of, opened
from .workload import QUEUES


async def run_cycles(site: Site, journal: Journal, flag: OpenFlag, drawn: random.Random) -> None:
    name = f"cron-{os.getpid()}"
    config = config_of(site, name, max_workers=8, queues=drawn.choice(({}, QUEUES)))
    async with opened(config) as rt:
        with flag.raised():
            client = Client(site, name, [rt], journal, drawn)
            for _ in range(drawn.randint(1, 3)):
                try:
                    await client.start()
                    await rt.run_once()
                except StoreUnavailableError:
                    await trio.sleep(0.1)


def main(site: Site, seed: str) -> None:
    journal = Journal(journal_path(site, "cron"))
    log_to(journal)
    flag, leaks = OpenFlag(site.root), Leaks()
    trio.run(run_cycles, site, journal, flag, random.Random(seed))
    journal.note("left", is_measured=False, **leaks.facts())
    flag.close()


if __name__ == "__main__":
    begin_process()
    main(Site(Path(sys.argv[1])), sys.argv[2])
