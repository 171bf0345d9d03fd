"""An artifact store whose delete hangs, or raises what is no Exception, stops no removal but its own."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import outcome
import pytest
import trio
from stories import define, opened, working
from trio.testing import MockClock

from trio_workflow import (
    ArtifactRef,
    FileArtifactStore,
    QueueConfig,
    RunBuilder,
    Runtime,
    StepContext,
    executor,
)
from trio_workflow.runtime.removal import MAX_HANGS, TRY_SECONDS


class Odd(FileArtifactStore):
    """Does something else when the bytes of run "bad" are to be deleted."""

    def __init__(self, root: Path, act: Callable[[], Awaitable[None]]) -> None:
        super().__init__(root)
        self._act = act

    async def delete(self, ref_or_id: ArtifactRef | str, /) -> None:
        if isinstance(ref_or_id, ArtifactRef) and ref_or_id.id.startswith("bad/"):
            await self._act()
        await super().delete(ref_or_id)


@executor("work")
async def work(step: StepContext) -> None:
    await step.store_artifact("file", "a/b", b"bytes")


def graph(run: RunBuilder) -> None:
    run.step("s", kind="work")


async def finished(rt: Runtime, *run_ids: str) -> None:
    define(rt, work, graph=graph)
    for run_id in run_ids:
        await rt.start_run("p", run_id=run_id)
    await rt.run_once()


class PanicError(BaseException):
    pass


async def hang() -> None:
    await trio.sleep_forever()


async def panic() -> None:
    raise PanicError("a library in another language has panicked")


async def panic_in_a_group() -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(panic)


async def carry_cancelled() -> None:
    """A Cancelled of a scope that is over, as a pool may carry it."""
    with trio.CancelScope() as scope:
        scope.cancel()
        carried = await outcome.acapture(trio.sleep, 1)
    carried.unwrap()


ACTS = [hang, panic, panic_in_a_group, carry_cancelled]
WIDE = {"max_workers": 9, "default_queue": QueueConfig(9)}


def files(root: Path) -> list[str]:
    return [path.name for path in root.rglob("*") if path.is_file()]


@pytest.mark.parametrize("act", ACTS)
async def test_delete_run_and_prune_return_and_remove_the_others(
    tmp_path: Path, autojump_clock: MockClock, act: Callable[[], Awaitable[None]]
) -> None:
    root = tmp_path / "artifacts"
    async with opened(tmp_path, artifact_store=Odd(root, act), max_workers=9) as rt:
        await finished(rt, "bad", "one", "two")
        for _ in range(2):
            await rt.run_once()
        await rt.delete_run("bad")
        await rt.delete_run("one")
        assert await rt.prune(0) == 1
        assert (await rt.runs()).items == ()
        assert trio.current_time() <= 4 * TRY_SECONDS
    assert len(files(root)) == 3  # the bytes of one artifact, its sidecar, and the last put of its id


@pytest.mark.parametrize("act", ACTS)
async def test_workers_go_on_and_keep_no_finished_run(
    tmp_path: Path, autojump_clock: MockClock, act: Callable[[], Awaitable[None]]
) -> None:
    root = tmp_path / "artifacts"
    async with opened(tmp_path, artifact_store=Odd(root, act), keep_finished=10.0) as rt:
        define(rt, work, graph=graph)
        async with working(rt):
            for run_id in ("bad", "one"):
                await (await rt.start_run("p", run_id=run_id)).wait()
            await trio.sleep(10 + TRY_SECONDS)
            assert (await rt.runs()).items == ()
            await (await rt.start_run("p", run_id="later")).wait()
            await trio.sleep(10 + TRY_SECONDS)
            assert (await rt.runs()).items == ()
    assert len(files(root)) == 3


async def test_a_try_that_hangs_holds_up_no_other_call(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path, artifact_store=Odd(tmp_path / "artifacts", hang), max_workers=9) as rt:
        await finished(rt, "bad", "one")
        for _ in range(2):
            await rt.run_once()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rt.delete_run, "bad")
            await trio.sleep(1)
            await rt.delete_run("one")
            assert trio.current_time() == 1


async def test_a_call_that_is_cancelled_in_a_try_ends_at_once(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path, artifact_store=Odd(tmp_path / "artifacts", hang)) as rt:
        await finished(rt, "bad")
        with trio.move_on_after(1) as scope:
            await rt.delete_run("bad")
        assert scope.cancelled_caught
        assert trio.current_time() == 1
        assert await rt.workflow("bad") is None


@executor("many")
async def many(step: StepContext) -> None:
    for number in range(6):
        await step.store_artifact(f"file-{number}", "a/b", b"bytes")


async def test_a_store_that_hangs_for_everything_holds_up_a_call_for_a_few_tries(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path, artifact_store=Odd(tmp_path / "artifacts", hang)) as rt:
        define(rt, many)
        await rt.start_run("p", run_id="bad")
        await rt.run_once()
        await rt.delete_run("bad")
        assert trio.current_time() == MAX_HANGS * TRY_SECONDS
