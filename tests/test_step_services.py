"""A store that cannot be reached for a while is waited for by the step that asks it, and fails no step."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import trio
from stories import define, ended, error_of, opened, outcomes, working
from trio.testing import MockClock

from trio_workflow import (
    ArtifactObject,
    ArtifactRef,
    FileArtifactStore,
    RunBuilder,
    StepContext,
    StoreUnavailableError,
    executor,
)
from trio_workflow.runtime.runtime import engine_of

OUTAGE = 5.0


def down_until(end: float, call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """The call, which until then raises what a store raises that cannot be reached."""

    async def ask(*args: Any) -> Any:
        if trio.current_time() < end:
            await trio.lowlevel.checkpoint()
            raise StoreUnavailableError("out of reach")
        return await call(*args)

    return ask


class DownAtFirst(FileArtifactStore):
    """An artifact store that cannot be reached before OUTAGE."""

    async def put(self, obj: ArtifactObject, /) -> ArtifactRef:
        ref: ArtifactRef = await down_until(OUTAGE, super().put)(obj)
        return ref


async def test_a_dependency_is_waited_for(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("first")
    async def first(step: StepContext) -> int:
        return 7

    @executor("second")
    async def second(step: StepContext) -> int:
        return await step.dependency_data("s", int)

    def start(run: RunBuilder) -> None:
        run.step("t", kind="second", depends_on=run.step("s", kind="first"))

    async with opened(tmp_path) as rt:
        define(rt, first, second, graph=start)
        reads: Any = engine_of(rt).store.reads
        reads.dependency_result = down_until(OUTAGE, reads.dependency_result)
        run = await rt.start_run("p")
        async with working(rt):
            await run.wait()
        assert (await ended(rt, run.id, "t")).value() == 7
        assert await outcomes(rt, run.id, "t") == ["succeeded"]
        assert OUTAGE <= trio.current_time() < OUTAGE + 1


async def test_an_artifact_of_bytes_or_a_file_is_put_when_there_is_room(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"from a file")

    @executor("work")
    async def work(step: StepContext) -> list[int]:
        first = await step.store_artifact("bytes", "a/b", b"bytes")
        second = await step.store_artifact("file", "a/b", source)
        return [first.size, second.size]

    async with opened(tmp_path, artifact_store=DownAtFirst(tmp_path / "artifacts")) as rt:
        define(rt, work)
        run = await rt.start_run("p")
        async with working(rt):
            await run.wait()
        assert (await ended(rt, run.id)).value() == [5, 11]
        assert await outcomes(rt, run.id) == ["succeeded"]
        assert OUTAGE <= trio.current_time() < OUTAGE + 1


class FullAtFirst(FileArtifactStore):
    """An artifact store that reads a body and cannot keep it before OUTAGE."""

    async def put(self, obj: ArtifactObject, /) -> ArtifactRef:
        if trio.current_time() < OUTAGE:
            async for _ in cast("AsyncIterator[bytes]", obj.body):
                raise StoreUnavailableError("out of reach")
        return await super().put(obj)


async def once() -> AsyncIterator[bytes]:
    yield b"once"


@executor("work")
async def work_once(step: StepContext) -> int:
    return (await step.store_artifact("stream", "a/b", once())).size


async def test_a_body_that_can_be_read_only_once_is_put_when_there_is_room(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path, artifact_store=DownAtFirst(tmp_path / "artifacts")) as rt:
        define(rt, work_once)
        run = await rt.start_run("p")
        async with working(rt):
            await run.wait()
        assert (await ended(rt, run.id)).value() == 4
        assert trio.current_time() >= OUTAGE


async def test_a_body_of_which_a_piece_was_read_is_not_offered_again(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path, artifact_store=FullAtFirst(tmp_path / "artifacts")) as rt:
        define(rt, work_once)
        run = await rt.start_run("p")
        async with working(rt):
            await run.wait()
        code, message = await error_of(rt, run.id)
        assert code == "executor_error"
        assert "StoreUnavailableError: out of reach" in message
        assert trio.current_time() < OUTAGE
