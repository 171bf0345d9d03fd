"""A service process: python -m tests.load.service ROOT OPTIONS.

SIGTERM ends it as a deploy does: clients finish what they do, running steps end. SIGHUP cancels its clients
and workers at once. SIGQUIT writes where its threads are to standard error.
"""

import faulthandler
import os
import random
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import attrs
import trio
from chaos.journal import Journal
from chaos.program import Site, begin_process

from trio_workflow import Runtime, StoreUnavailableError

from .client import Client
from .journals import journal_path
from .leaks import Leaks
from .log_journal import log_to
from .open_flag import OpenFlag
from .operations import BULK_OPERATIONS, OPERATIONS, Operation
from .settings import ServiceOptions, config_of, opened

SAMPLE = 1.0
"""Seconds between two measurements of memory and threads."""


@attrs.define(eq=False)
class Service:
    """A process's clients and workers. is_stopping: clients begin nothing new."""

    site: Site
    options: ServiceOptions
    journal: Journal
    flag: OpenFlag
    leaks: Leaks
    is_stopping: bool = False

    async def serve(self) -> None:
        options = self.options
        config = config_of(
            self.site,
            options.worker_id,
            max_workers=options.max_workers,
            keep=options.keep,
            synchronous=options.synchronous,
        )
        async with AsyncExitStack() as stack:
            self.journal.note("open", keep=options.keep)
            runtimes = [await stack.enter_async_context(opened(config))]
            if options.has_second_runtime:
                second = config_of(self.site, f"{options.worker_id}-second", max_workers=2)
                runtimes.append(await stack.enter_async_context(opened(second)))
            with self.flag.raised():
                await self._work(runtimes)
        self.journal.note("closed")

    async def _work(self, runtimes: list[Runtime]) -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(self._obey, nursery.cancel_scope)
            nursery.start_soon(self._sample_always)
            for rt in runtimes:
                await nursery.start(rt.start_workers)
            async with trio.open_nursery() as clients:
                for number in range(self.options.clients):
                    clients.start_soon(self._go_on, self._client(number, runtimes), OPERATIONS)
                if self.options.has_bulk:
                    clients.start_soon(self._go_on, self._client(-1, runtimes), BULK_OPERATIONS)
                if self.options.seconds is not None:
                    await trio.sleep(self.options.seconds / 2)
                    self.leaks.sample(is_middle=True)
                    await trio.sleep(self.options.seconds / 2)
                    self.is_stopping = True
            for rt in runtimes:
                await rt.drain()
            nursery.cancel_scope.cancel()

    def _client(self, number: int, runtimes: list[Runtime]) -> Client:
        name = f"{self.options.worker_id}-{os.getpid()}-{number}"
        drawn = random.Random(f"{self.options.seed} {number}")
        return Client(self.site, name, runtimes, self.journal, drawn)

    async def _go_on(self, client: Client, drawn_from: list[tuple[Operation, float]]) -> None:
        """One operation after the other. A store that is locked for now is asked again later."""
        operations, weights = zip(*drawn_from, strict=True)
        while not self.is_stopping:
            [operation] = client.random.choices(operations, weights)
            try:
                await operation(client)
            except* StoreUnavailableError:
                await trio.sleep(0.1)
            await trio.sleep(client.random.expovariate(50.0))

    async def _sample_always(self) -> None:
        while True:
            self.leaks.sample()
            await trio.sleep(SAMPLE)

    async def _obey(
        self, scope: trio.CancelScope, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGHUP) as signals:
            self.journal.note("ready")
            task_status.started()
            async for number in signals:
                self.is_stopping = True
                if number == signal.SIGHUP:
                    scope.cancel()


def main(site: Site, options: ServiceOptions) -> None:
    if options.switch_interval is not None:
        sys.setswitchinterval(options.switch_interval)
    journal = Journal(journal_path(site, "service"))
    log_to(journal)
    flag = OpenFlag(site.root)
    leaks = Leaks()
    trio.run(Service(site, options, journal, flag, leaks).serve)
    journal.note("left", is_measured=options.seconds is not None, **leaks.facts())
    flag.close()


if __name__ == "__main__":
    begin_process()
    faulthandler.register(signal.SIGQUIT)
    main(Site(Path(sys.argv[1])), ServiceOptions.from_text(sys.argv[2]))
