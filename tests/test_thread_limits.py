"""How many threads may work at once, and that no two of them share a connection."""

import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import outcome
import pytest
import trio
from artifact_kit import an_object
from store_kit import open_bench, run
from stories import define, opened, outcomes, working
from thread_kit import LONG, Gate, wait_for_threads
from trio.testing import MockClock, active_thread_count, wait_all_tasks_blocked

from trio_workflow import QueueConfig, RunBuilder, StepContext, executor
from trio_workflow.artifacts import FileArtifactStore
from trio_workflow.projections import Projection, ProjectionTransaction, SQLiteProjectionStore
from trio_workflow.store.sqlite.transaction import Tx


async def threads_at_once(calls: Sequence[Callable[[], Awaitable[object]]], gate: Gate, expected: int) -> int:
    """How many threads work when all these calls were made and none may return."""
    async with trio.open_nursery() as nursery:
        for call in calls:
            nursery.start_soon(call)
        await gate.wait_inside(expected)
        found = active_thread_count()
        gate.open()
    return found


async def test_three_reads_of_a_store_run_at_once(tmp_path: Path) -> None:
    gate = Gate()
    async with open_bench(tmp_path / "engine.db") as bench:
        calls = [lambda: bench.store._readers.read(gate.enter)] * 5
        assert await threads_at_once(calls, gate, 3) == 3
    assert gate.inside == 5


async def test_sixteen_calls_of_projections_run_at_once(tmp_path: Path) -> None:
    gate, store = Gate(), SQLiteProjectionStore(tmp_path)
    projections = [await store.projection(f"p{number}") for number in range(18)]
    for projection in projections:
        projection._database.open().create_function("wait", 0, gate.enter)
    calls = [partial(one.query, "SELECT wait()") for one in projections]
    assert await threads_at_once(calls, gate, 16) == 16
    await store.close()


async def test_eight_calls_of_an_artifact_store_run_at_once(tmp_path: Path) -> None:
    """A pipe without a writer keeps the thread that opens it."""
    store, pipes = FileArtifactStore(tmp_path / "root"), [tmp_path / f"pipe{n}" for n in range(10)]
    for pipe in pipes:
        os.mkfifo(pipe)
    async with trio.open_nursery() as nursery:
        for number, pipe in enumerate(pipes):
            nursery.start_soon(store.put, an_object(pipe, f"id{number}"))
        await wait_for_threads(8)
        # A put that has a thread keeps one: it opens its part file, and then the pipe.
        found = active_thread_count()
        for pipe in pipes:
            nursery.start_soon(trio.to_thread.run_sync, pipe.write_bytes, b"x")
    assert found == 8


async def test_functions_as_executors_wait_for_no_thread_of_others(tmp_path: Path) -> None:
    """Each slot has its thread, though all that trio lends by default are taken."""
    gate, barrier = Gate(), threading.Barrier(3)
    limiter = trio.to_thread.current_default_thread_limiter()
    limiter.total_tokens = 1

    @executor("meets")
    def meets(step: StepContext) -> None:
        barrier.wait(LONG)
        trio.from_thread.run(step.save, 1)  # nor does the store wait for one

    def start(run: RunBuilder) -> None:
        for number in range(3):
            run.step(f"s{number}", kind="meets")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, gate.enter)
        await gate.wait_inside(1)
        wide = {"max_workers": 3, "default_queue": QueueConfig(max_workers=3)}
        async with opened(tmp_path, patience=3 * LONG, **wide) as rt, working(rt):
            define(rt, meets, graph=start)
            handle = await rt.start_run("p")
            ended = (await handle.wait()).status
            found = [await outcomes(rt, handle.id, f"s{number}") for number in range(3)]
        gate.open()
    limiter.total_tokens = 40
    assert ended == "succeeded"
    assert found == [["succeeded"]] * 3


async def test_two_reads_at_once_have_a_connection_each(tmp_path: Path) -> None:
    barrier = threading.Barrier(2)
    used: list[int] = []

    def query(conn: object) -> None:
        used.append(id(conn))
        barrier.wait(LONG)

    async with open_bench(tmp_path / "engine.db") as bench:
        await bench.store.reads.workflow("r")  # from here on one connection is idle
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.store._readers.read, query)
            nursery.start_soon(bench.store._readers.read, query)
    assert len(set(used)) == 2


async def test_a_store_is_closed_when_the_commit_under_way_has_ended(tmp_path: Path) -> None:
    gate, ends = Gate(), list[str]()

    def commit(tx: Tx) -> None:
        gate.enter()
        tx.conn.execute("SELECT count(*) FROM runs").fetchone()  # the connection is still open
        ends.append("commit")

    async def close() -> None:
        await bench.store.aclose()
        ends.append("close")

    async with open_bench(tmp_path / "engine.db") as bench:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.store._writer.submit, commit)
            await gate.wait_inside(1)
            nursery.start_soon(close)
            await wait_all_tasks_blocked()
            found = active_thread_count()
            gate.open()
        assert (found, ends) == (1, ["commit", "close"])


async def test_commits_and_polls_never_share_the_writers_connection(tmp_path: Path) -> None:
    """Whoever comes while a commit runs waits for it; one thread at a time has the connection."""
    gate, ends = Gate(), list[str]()

    async def call(name: str, submit: Callable[[], Awaitable[object]]) -> None:
        await submit()
        ends.append(name)

    async with open_bench(tmp_path / "engine.db") as bench:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.store._writer.submit, gate.enter)
            await gate.wait_inside(1)
            nursery.start_soon(call, "create", partial(bench.create, run("r", "a")))
            nursery.start_soon(call, "poll", bench.store.poll)
            nursery.start_soon(call, "holds", partial(bench.store.holds, ()))
            await wait_all_tasks_blocked()
            found = active_thread_count(), list(ends)
            gate.open()
        assert found == (1, [])
        assert sorted(ends) == ["create", "holds", "poll"]


@pytest.mark.parametrize("how", ["alone", "in a transaction"])
async def test_calls_of_a_projection_take_turns(tmp_path: Path, how: str) -> None:
    gate, store, ends = Gate(), SQLiteProjectionStore(tmp_path), list[str]()
    projection = await store.projection("p")
    projection._database.open().create_function("wait", 0, gate.enter)

    async def query(queries: Projection | ProjectionTransaction, sql: str) -> None:
        await queries.query(sql)
        ends.append(sql)

    async def query_twice(queries: Projection | ProjectionTransaction) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(query, queries, "SELECT wait()")
            await gate.wait_inside(1)
            nursery.start_soon(query, queries, "SELECT 1")
            await wait_all_tasks_blocked()
            assert (active_thread_count(), ends) == (1, [])
            gate.open()

    if how == "alone":
        await query_twice(projection)
    else:
        async with projection.transaction() as tx:
            await query_twice(tx)
    assert ends == ["SELECT wait()", "SELECT 1"]
    await store.close()


async def test_a_projection_is_closed_when_the_call_under_way_has_ended(tmp_path: Path) -> None:
    gate, store, ends = Gate(), SQLiteProjectionStore(tmp_path), list[str]()
    projection = await store.projection("p")
    projection._database.open().create_function("wait", 0, gate.enter)

    async def query() -> None:
        found = await outcome.acapture(projection.query, "SELECT wait() AS one")
        assert found == outcome.Value([{"one": 1}])
        ends.append("query")

    async def close() -> None:
        await store.close()
        ends.append("close")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(query)
        await gate.wait_inside(1)
        nursery.start_soon(close)
        await wait_all_tasks_blocked()
        found = active_thread_count()
        gate.open()
    assert (found, ends) == (1, ["query", "close"])


@pytest.mark.parametrize("who", ["read", "commit"])
async def test_the_store_waits_for_no_thread_of_others(tmp_path: Path, who: str) -> None:
    """Its threads are its own: user code that holds all that trio lends by default cannot stop it."""
    gate = Gate()
    limiter = trio.to_thread.current_default_thread_limiter()
    limiter.total_tokens = 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, gate.enter)
        await gate.wait_inside(1)
        with trio.move_on_after(LONG / 4) as scope:
            async with open_bench(tmp_path / "engine.db") as bench:
                if who == "commit":
                    await bench.create(run("r", "a"))
                else:
                    await bench.store.reads.workflow("r")
        gate.open()
    limiter.total_tokens = 40
    assert not scope.cancelled_caught


async def test_workers_that_are_stopped_wait_for_the_thread_of_an_executor(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    gate, ends = Gate(), list[str]()

    @executor("waits")
    def waits(step: StepContext) -> None:
        gate.enter()

    async def work() -> None:
        with scope:
            await rt.start_workers()
        ends.append("workers")

    async with opened(tmp_path) as rt, trio.open_nursery() as nursery:
        scope = trio.CancelScope()
        define(rt, waits)
        handle = await rt.start_run("p")
        nursery.start_soon(work)
        while not gate.inside:
            await trio.lowlevel.checkpoint()
        scope.cancel()
        await wait_all_tasks_blocked()  # of the store nothing is in a thread
        assert (active_thread_count(), ends) == (1, [])
        gate.open()
        while not ends:
            await trio.lowlevel.checkpoint()
        assert await outcomes(rt, handle.id) == ["released"]
