"""SQLite's lock on the store and on projections is held as long as they are open, whatever is called."""

import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest
import trio
from file_kit import lock_holder
from stories import define

from trio_workflow import (
    Config,
    FileArtifactStore,
    QueueConfig,
    RunBuilder,
    RunStateError,
    Runtime,
    SQLiteProjectionStore,
    SQLiteStore,
    StepContext,
    executor,
    open_runtime,
)

FILLER = "x" * 10_000


@executor("work")
async def work(step: StepContext, data: str) -> str:
    await step.save("checkpoint")
    step.progress(1, 2)
    step.artifact("inline", "text/plain", b"inline")
    await step.store_artifact("external", "text/plain", b"external")
    sales = await step.projection("sales")
    await sales.execute("INSERT INTO sale VALUES (1)")
    return data


@executor("fail")
async def fail(step: StepContext) -> None:
    raise ValueError("no")


def graph(run: RunBuilder, steps: int = 1) -> None:
    for _ in range(steps):
        run.step(input=FILLER, kind="work")
    run.step("bad", kind="fail", allow_failure=True)


@asynccontextmanager
async def opened(folder: Path, **settings: object) -> AsyncIterator[Runtime]:
    config: dict[str, Any] = {
        "store": SQLiteStore(folder / "engine.db", synchronous="OFF"),
        "artifact_store": FileArtifactStore(folder / "artifacts"),
        "projection_store": SQLiteProjectionStore(folder / "projections"),
        "max_workers": 8,
        "default_queue": QueueConfig(8),
    }
    async with open_runtime(Config(**config | settings)) as rt:
        define(rt, work, fail, graph=graph)
        sales = await rt.projection("sales")
        await sales.execute("CREATE TABLE IF NOT EXISTS sale (amount INTEGER)")
        yield rt


async def everything(rt: Runtime, folder: Path) -> AsyncIterator[str]:
    """Every public call that touches the file, by name."""
    run = await rt.start_run("p", 700, run_id="r")
    yield "start_run"
    yield f"run_once {(await rt.run_once()).processed}"
    async with trio.open_nursery() as nursery:
        await nursery.start(rt.start_workers)
        await run.wait()
        yield "wait"
        await rt.drain()
        yield "drain"
    await rt.workflow("r"), await rt.step("r", "bad"), await rt.result("r", "bad"), await rt.runs()
    yield "reads"
    await rt.steps("r"), await rt.records("pages"), await rt.queues()
    yield "lists"
    async with rt.open_artifact("r", "step:001", "inline") as inline:
        await inline.read()
    async with rt.open_artifact("r", "step:001", "external.ref.json") as external:
        await external.read()
    yield "open_artifact"
    assert await rt.check() == []
    yield "check"
    await rt.retry_step("r", "bad")
    await rt.cancel_run("r")
    yield "retry_step and cancel_run"
    with pytest.raises(RunStateError):
        await rt.retry_step("r", "step:001")
    yield "a refusal"
    async with opened(folder, queues={"q": QueueConfig(0)}):
        yield "a second runtime"
    yield "a second runtime that was closed"
    size = (folder / "engine.db").stat().st_size
    await rt.delete_run("r")
    yield "delete_run"
    await rt.start_run("p", 1, run_id="s")
    await rt.cancel_run("s")
    assert await rt.prune(0) == 1
    yield "prune"
    assert (folder / "engine.db").stat().st_size < size
    with closing(sqlite3.connect(folder / "engine.db")) as conn:  # through the same library: allowed
        conn.execute("SELECT count(*) FROM runs").fetchone()
    yield "a connection of the program's own"
    sales = await rt.projection("sales")
    async with sales.transaction() as tx:
        await tx.execute("INSERT INTO sale VALUES (2)")
    await sales.query("SELECT * FROM sale")
    yield "projection"


def held(folder: Path) -> list[int]:
    return [lock_holder(folder / name) for name in ("engine.db", "projections/sales.db")]


async def test_the_locks_are_held_after_every_call(tmp_path: Path) -> None:
    async with opened(tmp_path) as rt:
        async for call in everything(rt, tmp_path):
            assert (call, held(tmp_path)) == (call, [os.getpid()] * 2)
    assert held(tmp_path) == [0, 0]


async def test_the_locks_are_held_with_two_runtimes_in_one_process(tmp_path: Path) -> None:
    async with opened(tmp_path) as rt, opened(tmp_path, queues={"other": QueueConfig(1)}):
        async for call in everything(rt, tmp_path):
            assert (call, held(tmp_path)) == (call, [os.getpid()] * 2)


async def test_a_test_of_the_locks_would_see_a_descriptor_that_is_closed(tmp_path: Path) -> None:
    async with opened(tmp_path):
        (tmp_path / "engine.db").open("rb").close()
        assert held(tmp_path) == [0, os.getpid()]


READ = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM runs').fetchone()"


async def test_another_process_that_opens_and_closes_the_file_leaves_the_log(tmp_path: Path) -> None:
    """What it would remove is what the next kill needs."""
    path = tmp_path / "engine.db"
    async with opened(tmp_path) as rt:
        await rt.start_run("p", 700, run_id="r")
        await rt.cancel_run("r")
        await rt.delete_run("r")
        async with opened(tmp_path):
            pass
        log = path.with_name("engine.db-wal").stat().st_ino
        await trio.run_process([sys.executable, "-c", READ, str(path)])
        assert path.with_name("engine.db-wal").stat().st_ino == log
        await rt.start_run("p", 1, run_id="precious")
    async with opened(tmp_path) as rt:
        assert [run.id for run in await rt.runs()] == ["precious"]
