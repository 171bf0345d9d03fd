"""The processes of a chaos run heed the driver's signals, however the driver itself was started."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

from .fleet import Fleet
from .journal import EXECUTIONS, FAULTS, Journal, read
from .program import Site

PATIENCE = 120.0
"""Seconds after which a process that neither begins nor ends is given up."""


@contextmanager
def ignored(*numbers: signal.Signals) -> Iterator[None]:
    """As in a job in the background, and under nohup."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
async def test_a_worker_of_a_driver_in_the_background_heeds_signals(
    tmp_path: Path, number: signal.Signals
) -> None:
    site = Site(tmp_path)
    for folder in site.folders:
        folder.mkdir()
    journal = Journal(site.logs / FAULTS)
    fleet = Fleet(site, journal, "tests.chaos", is_quiet=True)
    try:
        with ignored(signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
            fleet.start_worker()
        [worker] = fleet.workers
        with trio.fail_after(PATIENCE):
            while not any(entry["what"] == "ready" for entry in read(site.logs / EXECUTIONS)):  # noqa: ASYNC110 - a process has no event of trio's
                await trio.sleep(0.05)
        fleet.tell(worker, "end", number)
        assert await fleet.has_ended(worker, PATIENCE)
        assert worker.process.returncode == 0
    finally:
        fleet.kill_all()
        journal.close()
