"""run_executor: one attempt, as a worker would run it, and how it ended."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

from trio_workflow import (
    Dependency,
    FileArtifactStore,
    Progress,
    Retryable,
    RetryPolicy,
    SQLiteProjectionStore,
    StepContext,
    WorkflowError,
    executor,
)
from trio_workflow.testing import run_executor


@attrs.frozen
class Page:
    number: int


async def test_what_it_produces_is_in_the_outcome() -> None:
    @executor("index")
    async def index(step: StepContext, page: Page) -> int:
        pages = await step.dependency_data("scan", list[Page])
        step.record("pages", "k", page)
        step.artifact("a.txt", "text/plain", b"hello")
        step.progress(1, 2, "half")
        await step.save({"at": len(pages)})
        child = step.emit("child", page, kind="more", depends_on=["scan", "elsewhere"])
        step.emit(kind="more", depends_on=child)
        return page.number + len(pages)

    outcome = await run_executor(index, Page(3), dependencies={"scan": [Page(1), Page(2)]})
    assert outcome.succeeded
    assert outcome.status == "succeeded"
    assert outcome.value(int) == 5
    assert outcome.error is None
    [record] = outcome.records
    assert (record.run_id, record.step_id, record.collection) == ("test-run", "test-step", "pages")
    assert record.value(Page) == Page(3)
    [artifact] = outcome.artifacts
    assert (artifact.id, artifact.body) == ("test-run/test-step/artifact:001", b"hello")
    first, second = outcome.emitted
    assert (first.id, first.value(Page), first.parent_id) == ("child", Page(3), "test-step")
    assert (second.id, second.depends_on) == ("test-step:emit:002", (Dependency("child"),))
    assert outcome.saved == {"at": 2}
    assert outcome.progress == Progress(done=1, total=2, message="half")


async def test_the_context_shows_what_was_asked_for(tmp_path: Path) -> None:
    seen: list[Any] = []
    now = datetime(2030, 1, 2, tzinfo=UTC)

    @executor("look")
    async def look(step: StepContext) -> None:
        seen.extend([step.id, step.run_id, step.kind, step.attempt, step.now, step.saved(Page)])
        seen.extend([step.step.metadata, step.workflow.metadata, step.workflow.input, step.workflow.package])
        seen.extend([step.idempotency_key, step.lease.acquired_at])
        ref = await step.store_artifact("b", "text/plain", b"bytes")
        await (await step.projection("p")).execute("CREATE TABLE t (x)")
        seen.append(ref.size)

    outcome = await run_executor(
        look,
        step_id="s",
        run_id="r",
        package="pack",
        attempt=4,
        now=now,
        saved=Page(7),
        metadata={"a": "b"},
        run_metadata={"c": "d"},
        run_input=[1],
        artifact_store=FileArtifactStore(tmp_path / "a"),
        projection_store=SQLiteProjectionStore(tmp_path / "p"),
    )
    assert outcome.error is None
    assert seen == [
        *["s", "r", "look", 4, now, Page(7)],
        *[{"a": "b"}, {"c": "d"}, "[1]", "pack"],
        *["r/s", now, 5],
    ]
    assert outcome.artifacts[0].name == "b.ref.json"
    assert outcome.saved == {"number": 7}


async def test_the_retry_policy_says_what_follows() -> None:
    @executor("k")
    async def work(step: StepContext) -> None:
        raise Retryable("again", delay=4.0 if step.attempt == 1 else None)

    policy = RetryPolicy(max_attempts=3, initial_backoff=10)
    outcomes = [await run_executor(work, attempt=n, retry=policy) for n in (1, 2, 3)]
    assert [(o.status, o.retry_in) for o in outcomes] == [("retried", 4), ("retried", 20), ("failed", None)]
    with pytest.raises(WorkflowError, match="no data, since it ended as failed: again"):
        outcomes[2].value()


async def test_a_timeout_is_an_outcome_and_keeps_the_checkpoint(autojump_clock: MockClock) -> None:
    @executor("k")
    async def work(step: StepContext) -> None:
        await step.save("half")
        await trio.sleep(60)

    outcome = await run_executor(work, timeout=5)
    assert outcome.status == "timeout"
    assert outcome.error is not None
    assert outcome.error.code == "timeout"
    assert (outcome.error.occurred_at.second, outcome.saved, outcome.retry_in) == (5, "half", 1.0)


async def test_a_surrounding_scope_cancels_it_and_so_does_an_interrupt(autojump_clock: MockClock) -> None:
    @executor("k")
    async def work(step: StepContext, how: str) -> None:
        if how == "interrupt":
            raise KeyboardInterrupt
        await trio.sleep(60)

    with trio.move_on_after(5) as scope:
        await run_executor(work, "sleep")
    assert scope.cancelled_caught
    assert trio.current_time() == 5
    with pytest.raises(KeyboardInterrupt):
        await run_executor(work, "interrupt")
