"""A store object that two trio runs use at once refuses the second with a sentence."""

import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio

from trio_workflow import (
    ArtifactObject,
    Config,
    FileArtifactStore,
    SQLiteProjectionStore,
    SQLiteStore,
    WorkflowError,
    open_runtime,
)

Use = Callable[[], Awaitable[object]]


def artifact_uses(folder: Path) -> list[Use]:
    store = FileArtifactStore(folder)
    obj = ArtifactObject(id="r/s/a", name="a", kind="k", content_type="a/b", metadata={}, body=b"bytes")

    async def read() -> None:
        async with store.open("r/s/a") as reader:
            await reader.read()

    return [lambda: store.put(obj), read, lambda: store.delete("r/s/a")]


def projection_uses(folder: Path) -> list[Use]:
    store = SQLiteProjectionStore(folder)

    async def execute() -> None:
        await (await store.projection("sales")).execute("CREATE TABLE IF NOT EXISTS sale (amount)")

    async def transaction() -> None:
        async with (await store.projection("sales")).transaction():
            pass

    return [execute, transaction, lambda: store.projection("other")]


def beside(first: Use, second: Callable[[], None]) -> None:
    """Call `second` while another thread's trio run, which has made its use, goes on."""
    used, done = threading.Event(), trio.Event()
    tokens: list[trio.lowlevel.TrioToken] = []

    async def other_run() -> None:
        tokens.append(trio.lowlevel.current_trio_token())
        await first()
        used.set()
        await done.wait()

    thread = threading.Thread(target=trio.run, args=(other_run,))
    thread.start()
    used.wait()
    try:
        second()
    finally:
        trio.from_thread.run_sync(done.set, trio_token=tokens[0])
        thread.join()


@pytest.mark.parametrize("uses", [artifact_uses, projection_uses])
def test_a_store_object_in_two_trio_runs_is_refused(
    tmp_path: Path, uses: Callable[[Path], list[Use]]
) -> None:
    first, *others = uses(tmp_path / "store")

    def use_here() -> None:
        for use in (first, *others):
            with pytest.raises(WorkflowError, match=r"is used in two trio runs at once: make a store object"):
                trio.run(use)

    beside(first, use_here)
    trio.run(first)  # the other run has ended


def test_a_projection_store_that_was_closed_may_be_used_by_another_run(tmp_path: Path) -> None:
    store = SQLiteProjectionStore(tmp_path)

    async def use() -> None:
        await (await store.projection("sales")).execute("CREATE TABLE IF NOT EXISTS sale (amount)")
        await store.close()

    beside(use, lambda: trio.run(use))


def test_a_runtime_that_closes_leaves_a_store_of_another_run_alone(tmp_path: Path) -> None:
    """It has not used it, and the error of its block comes out as itself."""
    store = SQLiteProjectionStore(tmp_path / "projections")
    config = Config(store=SQLiteStore(tmp_path / "engine.db"), projection_store=store)

    async def use() -> None:
        await store.projection("sales")

    async def fail() -> None:
        async with open_runtime(config):
            raise KeyError("of the block")

    def fail_here() -> None:
        with pytest.raises(KeyError):
            trio.run(fail)

    beside(use, fail_here)
