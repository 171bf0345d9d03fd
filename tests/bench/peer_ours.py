"""The work of the comparison with peers, done by trio_workflow at `synchronous="FULL"`."""

from pathlib import Path

import trio

from . import engine
from .peer_figures import FAN_OUT, HOP, IDLE, OURS, Sample
from .peer_files import expect, journal_mode

WARM = 320
WAYS = {FAN_OUT: ["workers"], HOP: ["workers"], IDLE: ["workers"]}
NOTE = (
    "A queue of 32 workers; poll_interval at its default, 0.25 s, which is for other processes' work only. "
    "A step is claimed under a lease; stored are its attempt, its result and its run's counters. "
    "What a killed process ran is run again by another process, or at the next start."
)


def measure(work: str, way: str, steps: int, folder: Path) -> Sample:
    works = {FAN_OUT: engine.drain, HOP: engine.hop, IDLE: engine.idle}

    async def main() -> float:
        async with engine.working_runtime(folder, "FULL") as rt:
            await engine.drain(rt, WARM)
            return await works[work](rt, steps)

    value = trio.run(main)
    path = folder / "engine.db"
    expect(path, "SELECT count(*) FROM results WHERE data = '1'", WARM + steps)
    return Sample(OURS, work, way, value, journal_mode(path), synchronous=2)
