"""A process that is killed at any point of a removal loses track of no bytes, and removes none too many."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from removal_kit import Failing, attempt_artifacts, bodies, flaky, query, removals
from stories import define, opened, opened_quietly
from trio.testing import MockClock

from trio_workflow import Package, RunBuilder, Runtime, StepContext
from trio_workflow.errors import RuntimeClosedError
from trio_workflow.points import POINTS, Point
from trio_workflow.testing import crash, run_until_idle

package = Package("many")
KEPT = b"kept"


@package.entrypoint
def start(run: RunBuilder, count: int) -> None:
    for number in range(count):
        run.step(kind="put", input=number)


@package.executor("put")
async def put(step: StepContext, number: int) -> None:
    await step.store_artifact("a.bin", "application/x", f"{step.run_id} {number}".encode())
    step.artifact("note", "text/plain", b"inline")


class Killer:
    """Kills the runtime when a point is reached for the nth time."""

    def __init__(self, rt: Runtime, point: Point, times: int) -> None:
        self.rt, self.point, self.left = rt, point, times

    def look(self, point: Point, *about: object) -> None:
        if point is not self.point:
            return
        self.left -= 1
        if not self.left:
            crash(self.rt)
        if self.left <= 0 and point in (Point.LOCK, Point.BEGIN, Point.COMMIT, Point.REMOVE):
            raise RuntimeClosedError("killed here")

    async def wait(self, point: Point, about: object) -> None:
        self.look(point)


@pytest.mark.parametrize("point", [Point.BEGIN, Point.COMMIT, Point.COMMITTED, Point.REMOVE, Point.CALL])
async def test_a_kill_at_any_point_loses_track_of_no_bytes(
    tmp_path: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch, point: Point
) -> None:
    monkeypatch.setattr("trio_workflow.store.sqlite.verbs.removal.ARTIFACTS_AT_ONCE", 2)
    monkeypatch.setattr("trio_workflow.runtime.removal.TRIED_AT_ONCE", 2)
    monkeypatch.setattr("trio_workflow.store.sqlite.verbs.delete.ROWS_AT_ONCE", 4)
    for times in range(1, 200):
        folder = tmp_path / str(times)
        was_killed = await _delete_and_be_killed(folder, point, times)
        async with opened(folder, artifact_store=Failing(folder / "artifacts"), max_workers=9) as rt:
            there = {run.id for run in await rt.runs()}
            for run_id in there:  # a run that can be read has all of its bytes
                for step in await rt.steps(run_id):
                    async with rt.open_artifact(run_id, step.id, "a.bin") as reader:
                        await reader.read()
            assert "kept" in there
            await rt.prune(1e6)
            if "gone" in there:
                await rt.delete_run("gone")
        assert bodies(folder / "artifacts") == [b"kept 0", b"kept 1"]
        assert removals(folder / "engine.db") == []
        assert query(folder / "engine.db", "SELECT * FROM trash") == []
        assert len(query(folder / "engine.db", "SELECT * FROM steps")) == 2
        if not was_killed:
            assert times > 3
            return
    raise AssertionError("the removal has no end")


async def _delete_and_be_killed(folder: Path, point: Point, times: int) -> bool:
    store: Any = Failing(folder / "artifacts", "step-2")
    async with opened_quietly(folder, artifact_store=store, max_workers=9) as rt:
        rt.register_package(package)
        await rt.start_run("many", 5, run_id="gone")
        await rt.start_run("many", 2, run_id="kept")
        await run_until_idle(rt)
        killer = Killer(rt, point, times)
        with POINTS.watched_by(killer):
            try:
                await rt.delete_run("gone")
            except RuntimeClosedError:
                return True
        return killer.left <= 0


@pytest.mark.parametrize("point", [Point.BEGIN, Point.COMMIT, Point.COMMITTED, Point.REMOVE])
async def test_a_kill_beside_a_success_loses_no_track_of_what_it_releases(
    tmp_path: Path, autojump_clock: MockClock, point: Point
) -> None:
    for times in range(1, 100):
        folder = tmp_path / str(times)
        async with opened_quietly(folder, artifact_store=Failing(folder / "artifacts")) as rt:
            define(rt, flaky)
            await rt.start_run("p", run_id="r")
            killer = Killer(rt, point, times)
            with POINTS.watched_by(killer), suppress(RuntimeClosedError):
                await run_until_idle(rt)
        async with opened(folder, artifact_store=Failing(folder / "artifacts")) as rt:
            define(rt, flaky)
            await run_until_idle(rt)
            async with rt.open_artifact("r", "s", "a.bin") as reader:
                assert (await reader.read()).startswith(b"attempt ")
            assert attempt_artifacts(folder / "engine.db") == []
            assert removals(folder / "engine.db") == []
            await rt.delete_run("r")
        if killer.left > 0:
            assert times > 3 or point is Point.REMOVE
            return
    raise AssertionError("the run has no end")
