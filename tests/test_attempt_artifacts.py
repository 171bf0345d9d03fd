"""Bytes of attempts that did not succeed: they go when the step succeeds, or when its run is deleted."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from removal_kit import Failing, attempt_artifacts, bodies, flaky, query, removals
from stories import define, ended, one_step, opened, opened_quietly, outcomes, status, working
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_workflow import Executor, Permanent, Retryable, StepContext, executor
from trio_workflow.artifacts import FileArtifactStore
from trio_workflow.model.artifact import ArtifactObject, ArtifactRef
from trio_workflow.runtime.runtime import engine_of
from trio_workflow.testing import run_until_idle


def artifacts(folder: Path) -> FileArtifactStore:
    return FileArtifactStore(folder / "artifacts")


def ends_with(act: Callable[[StepContext], Any], last: int = 2) -> Executor[..., Any]:
    """Puts other bytes in each attempt, and does that until the last attempt."""

    @executor("work")
    async def work(step: StepContext) -> None:
        await step.store_artifact("a.bin", "application/x", f"attempt {step.attempt}".encode())
        if step.attempt < last:
            await act(step)

    return work


async def test_they_go_soon_after_the_step_has_succeeded(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path, artifact_store=artifacts(tmp_path)) as rt:
        define(rt, flaky)
        async with working(rt):
            run = await rt.start_run("p")
            await run.wait()
            await wait_all_tasks_blocked()
            assert bodies(tmp_path / "artifacts") == [b"attempt 3"]
        assert attempt_artifacts(tmp_path / "engine.db") == []
        assert removals(tmp_path / "engine.db") == []


async def test_they_go_at_the_end_of_the_cycle_in_which_the_step_succeeds(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path, artifact_store=artifacts(tmp_path)) as rt:
        define(rt, flaky)
        run = await rt.start_run("p")
        await run_until_idle(rt)
        assert await outcomes(rt, run.id) == ["retried", "retried", "succeeded"]
        assert bodies(tmp_path / "artifacts") == [b"attempt 3"]


async def hang(step: StepContext) -> None:
    await trio.sleep_forever()


async def fail(step: StepContext) -> None:
    raise Retryable("busy", delay=0)


async def emit_nonsense(step: StepContext) -> None:
    step.emit("a", kind="work", depends_on=["nobody"])


@pytest.mark.parametrize(
    ("act", "outcome"),
    [(hang, "timeout"), (fail, "retried"), (emit_nonsense, "failed")],
    ids=["timeout", "retry", "no-graph"],
)
async def test_however_an_attempt_ends_what_it_has_put_goes_with_the_success(
    tmp_path: Path, autojump_clock: MockClock, act: Callable[[StepContext], Any], outcome: str
) -> None:
    async with opened(tmp_path, artifact_store=artifacts(tmp_path)) as rt:
        define(rt, ends_with(act), graph=one_step("work", timeout=5.0))
        run = await rt.start_run("p")
        await rt.run_once()
        assert bodies(tmp_path / "artifacts") == [b"attempt 1"]
        assert [released for _, released in attempt_artifacts(tmp_path / "engine.db")] == [0]
        if await status(rt, run.id) == "failed":
            await rt.retry_step(run.id, "s")
        await run_until_idle(rt)
        assert await outcomes(rt, run.id) == [outcome, "succeeded"]
        assert bodies(tmp_path / "artifacts") == [b"attempt 2"]


async def test_what_a_released_attempt_has_put_goes_with_the_success(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path, artifact_store=artifacts(tmp_path)) as rt:
        define(rt, ends_with(hang))
        run = await rt.start_run("p")
        async with working(rt):
            await trio.sleep(1)
        await run_until_idle(rt)
        assert await outcomes(rt, run.id) == ["released", "succeeded"]
        assert bodies(tmp_path / "artifacts") == [b"attempt 2"]


async def test_what_an_attempt_has_put_that_lost_its_lease_goes_with_the_success(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """Its outcome comes too late, and what it has put is recorded all the same."""

    async def outlast(step: StepContext) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(100)

    async with opened_quietly(tmp_path, artifact_store=artifacts(tmp_path)) as one:
        define(one, ends_with(outlast))
        run = await one.start_run("p")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(one.run_once)
            await wait_all_tasks_blocked()
            query_and_commit(tmp_path / "engine.db", "UPDATE steps SET expires_at = 0")
            async with opened(tmp_path, artifact_store=artifacts(tmp_path)) as two:
                define(two, ends_with(outlast))
                await two.run_once()
                assert await outcomes(two, run.id) == ["lease_lost", "succeeded"]
                assert bodies(tmp_path / "artifacts") == [b"attempt 1", b"attempt 2"]
        assert bodies(tmp_path / "artifacts") == [b"attempt 2"]
        assert attempt_artifacts(tmp_path / "engine.db") == []
        assert await one.check() == []


def query_and_commit(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(sql)


async def test_a_failed_run_keeps_them_until_it_is_deleted(tmp_path: Path, autojump_clock: MockClock) -> None:
    async def give_up(step: StepContext) -> None:
        raise Permanent("broken")

    async with opened(tmp_path, artifact_store=artifacts(tmp_path)) as rt:
        define(rt, ends_with(give_up, last=9))
        run = await rt.start_run("p")
        await run_until_idle(rt)
        await rt.prune(1000)
        assert bodies(tmp_path / "artifacts") == [b"attempt 1"]
        await rt.retry_step(run.id, "s")
        await run_until_idle(rt)
        assert bodies(tmp_path / "artifacts") == [b"attempt 1", b"attempt 2"]
        await rt.delete_run(run.id)
        assert bodies(tmp_path / "artifacts") == []
        assert attempt_artifacts(tmp_path / "engine.db") == []


async def test_what_a_cancelled_attempt_has_put_goes_with_its_run(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path, artifact_store=artifacts(tmp_path)) as rt:
        define(rt, ends_with(hang))
        async with working(rt):
            run = await rt.start_run("p")
            await trio.sleep(1)
            await rt.cancel_run(run.id)
            await trio.sleep(1)
        assert await outcomes(rt, run.id) == ["canceled"]
        assert [released for _, released in attempt_artifacts(tmp_path / "engine.db")] == [0]
        assert bodies(tmp_path / "artifacts") == [b"attempt 1"]
        await rt.delete_run(run.id)
        assert bodies(tmp_path / "artifacts") == []


async def test_what_is_reported_after_the_run_was_deleted_goes_too(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """The executor returns long after its run was canceled and deleted."""

    async def outlast(step: StepContext) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(100)

    async with opened(tmp_path, artifact_store=artifacts(tmp_path)) as rt:
        define(rt, ends_with(outlast))
        async with working(rt):
            run = await rt.start_run("p")
            await trio.sleep(1)
            await rt.cancel_run(run.id)
            await rt.delete_run(run.id)
            assert bodies(tmp_path / "artifacts") == [b"attempt 1"]
            await trio.sleep(200)
            assert bodies(tmp_path / "artifacts") == []


@executor("same")
async def same(step: StepContext) -> None:
    """Puts equal bytes in each attempt."""
    await step.store_artifact("a.bin", "application/x", b"same", id="a")
    if step.attempt == 1:
        raise Retryable("busy", delay=0)


async def test_bytes_that_the_success_shares_with_an_earlier_attempt_stay(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    store = Failing(tmp_path / "artifacts")
    async with opened(tmp_path, artifact_store=store) as rt:
        define(rt, same)
        run = await rt.start_run("p", run_id="r")
        await run_until_idle(rt)
        assert store.tried == []
        assert attempt_artifacts(tmp_path / "engine.db") == []
        assert bodies(tmp_path / "artifacts") == [b"same"]
        async with rt.open_artifact("r", "s", "a.bin") as reader:
            assert await reader.read() == b"same"
        await rt.delete_run(run.id)
        assert bodies(tmp_path / "artifacts") == []


async def test_bytes_shared_with_an_earlier_attempt_stay_when_the_root_has_moved_between(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path, artifact_store=artifacts(tmp_path)) as rt:
        define(rt, same)
        await rt.start_run("p", run_id="r")
        await rt.run_once()
    (tmp_path / "artifacts").rename(tmp_path / "moved")
    store = Failing(tmp_path / "moved")
    async with opened(tmp_path, artifact_store=store) as rt:
        define(rt, same)
        await run_until_idle(rt)
        assert attempt_artifacts(tmp_path / "engine.db") == []
        assert store.tried == []
        async with rt.open_artifact("r", "s", "a.bin") as reader:
            assert await reader.read() == b"same"


class Shared(FileArtifactStore):
    """Breaks the promise of artifact stores: equal bytes of all runs have one uri."""

    async def put(self, obj: ArtifactObject, /) -> ArtifactRef:
        ref = await super().put(obj)
        return attrs.evolve(ref, uri=f"shared:{ref.sha256}")

    async def delete(self, ref_or_id: ArtifactRef | str, /) -> None:
        assert isinstance(ref_or_id, ArtifactRef)
        deleted.append(ref_or_id.uri)


deleted: list[str] = []


async def test_bytes_that_another_run_names_stay_until_that_is_deleted(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("put")
    async def put(step: StepContext) -> None:
        await step.store_artifact("a.bin", "application/x", b"same")

    deleted.clear()
    async with opened(tmp_path, artifact_store=Shared(tmp_path / "artifacts"), max_workers=9) as rt:
        define(rt, put)
        for run_id in ("one", "two"):
            await rt.start_run("p", run_id=run_id)
        await run_until_idle(rt)
        await rt.delete_run("one")
        assert deleted == []
        await rt.delete_run("two")
        assert len(deleted) == 1


async def test_a_first_attempt_looks_for_nothing(tmp_path: Path, autojump_clock: MockClock) -> None:
    """The hot path: neither reads nor writes of the table of attempts' artifacts."""

    @executor("plain")
    async def plain(step: StepContext) -> None: ...

    statements: list[str] = []
    async with opened(tmp_path, artifact_store=artifacts(tmp_path)) as rt:
        store: Any = engine_of(rt).store
        define(rt, plain)
        await rt.run_once()  # the first cycle looks for what others left
        store._committer._conn.set_trace_callback(statements.append)
        run = await rt.start_run("p")
        await rt.run_once()
        assert await status(rt, run.id) == "succeeded"
    assert [sql for sql in statements if "attempt_artifacts" in sql or "removals" in sql] == []
    assert any("INSERT INTO steps" in sql for sql in statements)


class Unstorable(FileArtifactStore):
    """Returns a reference that no store can keep."""

    async def put(self, obj: ArtifactObject, /) -> ArtifactRef:
        return attrs.evolve(await super().put(obj), uri="\ud800")


@pytest.mark.parametrize(("last", "code"), [(1, "invalid_output"), (9, "broken")], ids=["success", "failure"])
async def test_a_reference_that_cannot_be_stored_keeps_no_outcome_from_being_stored(
    tmp_path: Path, autojump_clock: MockClock, last: int, code: str
) -> None:
    async def give_up(step: StepContext) -> None:
        raise Permanent("broken")

    async with opened(tmp_path, artifact_store=Unstorable(tmp_path / "artifacts")) as rt:
        define(rt, ends_with(give_up, last))
        run = await rt.start_run("p")
        await run_until_idle(rt)
        error = (await ended(rt, run.id)).error
        assert error is not None
        assert error.code == code
        assert query(tmp_path / "engine.db", "SELECT * FROM attempt_artifacts") == []


async def test_retention_removes_what_a_success_releases_beside_what_it_prunes(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path, artifact_store=artifacts(tmp_path), keep_finished=100.0) as rt:
        define(rt, flaky)
        async with working(rt):
            await rt.start_run("p")
            await trio.sleep(1)
            assert bodies(tmp_path / "artifacts") == [b"attempt 3"]
            await trio.sleep(200)
            assert bodies(tmp_path / "artifacts") == []
