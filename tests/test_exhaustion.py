"""A process without a free thread or file descriptor waits until it has one; no worker ends because of it."""

import errno
import os
import resource
import sqlite3
from collections.abc import Awaitable, Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from stories import define, ended, opened, outcomes, working

from trio_workflow import (
    ArtifactObject,
    ArtifactRef,
    FileArtifactStore,
    Runtime,
    SQLiteProjectionStore,
    StepContext,
    StoreUnavailableError,
    executor,
)
from trio_workflow.exhaustion import exhausted
from trio_workflow.offload import NoThreadError, Offload


@contextmanager
def no_descriptors() -> Generator[None]:
    """Within the block this process can open no file. Everything that it has open stays open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)  # the lowest number that is free
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def no_threads(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """Within the block no thread can be started, as trio meets it."""

    def refuse(*args: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr("trio._threads.start_thread_soon", refuse)
        yield


class Counting(FileArtifactStore):
    """Reports the first put that found the store unavailable."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.refused = trio.Event()

    async def put(self, obj: ArtifactObject, /) -> ArtifactRef:
        try:
            return await super().put(obj)
        except StoreUnavailableError:
            self.refused.set()
            raise


def calls(rt: Runtime) -> list[Callable[[], Awaitable[Any]]]:
    async def read() -> None:
        async with rt.open_artifact("r", "s", "file.ref.json") as reader:
            await reader.read()

    return [
        read,
        lambda: rt.start_run("p"),
        rt.runs,
        lambda: rt.workflow("r"),
        rt.queues,
        rt.check,
        lambda: rt.cancel_run("r"),
        lambda: rt.prune(0),
        lambda: rt.projection("sales"),
        rt.run_once,
    ]


@executor("work")
async def work(step: StepContext) -> int:
    return (await step.store_artifact("file", "a/b", b"bytes")).size


async def test_a_call_without_a_thread_says_so_and_the_next_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    projections = SQLiteProjectionStore(tmp_path / "projections", busy_timeout=0)
    artifacts = FileArtifactStore(tmp_path / "artifacts")
    async with opened(tmp_path, artifact_store=artifacts, projection_store=projections) as rt:
        define(rt, work)
        await rt.start_run("p", run_id="r")
        await rt.run_once()
        for call in calls(rt):
            with (
                no_threads(monkeypatch),
                pytest.raises(StoreUnavailableError, match="can't start new thread"),
            ):
                await call()
        for call in calls(rt):
            await call()


async def test_workers_go_on_when_there_are_threads_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, artifact_store=FileArtifactStore(tmp_path / "a")) as rt:
        define(rt, work)
        async with rt.events() as events, working(rt):
            with no_threads(monkeypatch):
                with pytest.raises(StoreUnavailableError):
                    await rt.start_run("p")
                rt.register_executor(other)  # wakes the workers
                async for event in events:
                    if event.kind == "store_unavailable":
                        break
            run = await rt.start_run("p")
            await run.wait()
            assert await outcomes(rt, run.id) == ["succeeded"]


@executor("other")
async def other(step: StepContext) -> None: ...


async def test_everything_is_closed_also_without_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SQLiteProjectionStore(tmp_path / "projections")
    before = len(os.listdir("/proc/self/fd"))
    async with opened(tmp_path, projection_store=store) as rt:
        await rt.projection("sales")
        monkeypatch.setattr("trio._threads.start_thread_soon", raise_no_thread)
        monkeypatch.setattr(rt, "check", lambda: no_violations())  # `opened` asks for it
    assert len(os.listdir("/proc/self/fd")) == before


def raise_no_thread(*args: object) -> None:
    raise RuntimeError("can't start new thread")


async def no_violations() -> list[object]:
    await trio.lowlevel.checkpoint()
    return []


async def test_a_transaction_is_undone_without_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SQLiteProjectionStore(tmp_path, busy_timeout=0)
    sales = await store.projection("sales")
    await sales.execute("CREATE TABLE sale (amount)")

    async def sell(*, fails: bool) -> None:
        async with sales.transaction() as tx:
            await tx.execute("INSERT INTO sale VALUES (1)")
            monkeypatch.setattr("trio._threads.start_thread_soon", raise_no_thread)
            if fails:
                raise KeyError

    for fails, error in ((True, KeyError), (False, StoreUnavailableError)):
        with pytest.raises(error):
            await sell(fails=fails)
        monkeypatch.undo()
        with closing(sqlite3.connect(tmp_path / "sales.db", timeout=0, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")
        assert await sales.query("SELECT * FROM sale") == []
    await store.close()


async def test_a_call_of_a_projection_waits_for_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SQLiteProjectionStore(tmp_path)
    sales = await store.projection("sales")
    refused = trio.Event()

    def refuse(*args: object) -> None:
        refused.set()
        raise RuntimeError("can't start new thread")

    async def give_threads_again() -> None:
        await refused.wait()
        monkeypatch.undo()

    async with trio.open_nursery() as nursery:
        monkeypatch.setattr("trio._threads.start_thread_soon", refuse)
        nursery.start_soon(give_threads_again)
        await sales.execute("CREATE TABLE sale (amount)")
    assert await sales.query("SELECT * FROM sale") == []
    await store.close()


async def test_an_error_of_the_call_itself_is_not_taken_for_a_missing_thread() -> None:
    def fail() -> None:
        raise RuntimeError("can't start new thread")

    with pytest.raises(RuntimeError) as caught:
        await Offload().run(fail)
    assert not isinstance(caught.value, NoThreadError)


@pytest.mark.parametrize("body", ["bytes", "file"])
async def test_an_artifact_is_put_when_there_are_descriptors_again(tmp_path: Path, body: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"bytes")

    @executor("put")
    async def put(step: StepContext) -> int:
        ref = await step.store_artifact("file", "a/b", b"bytes" if body == "bytes" else source)
        return ref.size

    artifacts = Counting(tmp_path / "artifacts")
    async with opened(tmp_path, artifact_store=artifacts) as rt:
        define(rt, put)
        async with working(rt):
            await rt.runs()
            run = await rt.start_run("p", run_id="first")  # threads and connections are there from now on
            await run.wait()
            with no_descriptors():
                run = await rt.start_run("p")
                await artifacts.refused.wait()
            await run.wait()
        assert (await ended(rt, run.id)).value() == 5
        assert await outcomes(rt, run.id) == ["succeeded"]


async def test_reads_and_a_projection_without_descriptors_say_so_and_are_served_later(tmp_path: Path) -> None:
    projections = SQLiteProjectionStore(tmp_path / "projections")
    async with opened(tmp_path, projection_store=projections) as rt:
        await trio.to_thread.run_sync(os.getpid)  # threads are there from now on
        with no_descriptors():
            for call in (rt.runs, lambda: rt.projection("sales")):
                with pytest.raises(StoreUnavailableError):
                    await call()
        assert (await rt.runs()).items == ()
        await rt.projection("sales")


def test_only_what_passes_is_taken_for_exhaustion() -> None:
    passing = [errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE]
    assert all(exhausted(OSError(number, "")) for number in passing)
    assert [exhausted(OSError(number, "")) for number in (errno.EACCES, errno.ENOENT, errno.EIO)] == [
        None
    ] * 3
    assert exhausted(OSError("no number")) is None
