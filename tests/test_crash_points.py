"""crash(rt) at every moment of a run's life."""

from contextlib import suppress
from pathlib import Path

import pytest
import trio
from test_crashing import dump, sleeper, working
from trio.testing import MockClock

from trio_workflow import Runtime, RuntimeClosedError, SQLiteStore
from trio_workflow.testing import crash, deterministic, open_test_runtime, run_until_idle


@pytest.mark.parametrize("seed", range(3))
def test_wherever_it_strikes_nothing_starts_or_is_stored_after_it(tmp_path: Path, seed: int) -> None:
    """From before a run is stored to past its end, one tick of the scheduler after the other."""
    store = SQLiteStore(tmp_path / "engine.db", synchronous="OFF")
    seen: set[str] = set()
    ticks = 0
    while "succeeded" not in seen:
        with deterministic(seed):
            seen.add(trio.run(_crash_after, store, ticks, clock=MockClock(autojump_threshold=0)))
        ticks += 1
    assert {"nothing", "running", "succeeded"} <= seen


async def _crash_after(store: SQLiteStore, ticks: int) -> str:
    """Crash then; answers how far the run had come, and sees it through."""
    run_id = f"after {ticks} ticks"
    log: list[str] = []
    async with trio.open_nursery() as nursery, working(store, sleeper("p", 0, log)) as rt:
        nursery.start_soon(_start, rt, run_id)
        for _ in range(ticks):
            await trio.lowlevel.cancel_shielded_checkpoint()
        crash(rt)
        before, log_before = dump(store.path), [line for line in log if line.startswith("start")]
    assert dump(store.path) == before
    assert [line for line in log if line.startswith("start")] == log_before
    async with open_test_runtime(store=store) as rt:
        rt.register_package(sleeper("p", 0, log))
        left = await rt.workflow(run_id)
        handle = await rt.start_run("p", run_id=run_id, if_exists="return")
        await run_until_idle(rt)
        assert (await handle.wait()).status == "succeeded"
        assert await rt.check() == []
    return "nothing" if left is None else left.status


async def _start(rt: Runtime, run_id: str) -> None:
    with suppress(RuntimeClosedError):
        await rt.start_run("p", run_id=run_id)
