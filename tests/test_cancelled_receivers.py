"""A receiver that is cancelled loses nothing, and takes nothing from the others."""

from datetime import UTC, datetime
from pathlib import Path

import trio
from artifact_kit import MIB, an_object
from store_kit import open_bench, run
from thread_kit import Gate
from trio.testing import wait_all_tasks_blocked

from trio_workflow import Event
from trio_workflow.artifacts import FileArtifactStore
from trio_workflow.projections import SQLiteProjectionStore
from trio_workflow.runtime.events import EventStream


def event(message: str) -> Event:
    return Event(kind="run_updated", at=datetime.now(UTC), worker_id="w", message=message)


async def test_a_receiver_that_is_cancelled_as_it_takes_an_event_has_it(autojump_clock: object) -> None:
    stream, got = EventStream(10), list[str]()

    async def cancel() -> None:
        scope.cancel()

    for number in range(3):
        stream.put_nowait(event(str(number)))
    for _ in range(3):
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as scope:
                # It has its turn at the receiver's first checkpoint, when the event has been taken.
                nursery.start_soon(cancel)
                got.append((await stream.receive()).message)
    assert got == ["0", "1", "2"]


async def test_an_event_for_a_receiver_that_is_cancelled_goes_to_another(autojump_clock: object) -> None:
    stream, got = EventStream(10), list[str]()
    scopes = [trio.CancelScope(), trio.CancelScope()]

    async def receive(scope: trio.CancelScope) -> None:
        with scope:
            got.append((await stream.receive()).message)

    async with trio.open_nursery() as nursery:
        for scope in scopes:
            nursery.start_soon(receive, scope)
            await wait_all_tasks_blocked()
        stream.put_nowait(event("the only one"))
        scopes[0].cancel()  # it was woken for the event, and has not run since
        await wait_all_tasks_blocked()
        assert got == ["the only one"]
        nursery.cancel_scope.cancel()


async def test_a_receiver_that_waits_and_is_cancelled_takes_no_event(autojump_clock: object) -> None:
    stream = EventStream(10)
    with trio.move_on_after(1):
        await stream.receive()
    stream.put_nowait(event("later"))
    assert (await stream.receive()).message == "later"


async def test_a_reader_that_is_cancelled_as_it_reads_has_the_chunk(tmp_path: Path) -> None:
    store, body = FileArtifactStore(tmp_path), bytes(range(256)) * (MIB // 64)
    ref, got = await store.put(an_object(body)), bytearray()

    async def cancel() -> None:
        scope.cancel()

    async with store.open(ref) as reader:
        while len(got) < len(body):
            async with trio.open_nursery() as nursery:
                with trio.CancelScope() as scope:
                    nursery.start_soon(cancel)  # while the thread reads
                    got += await anext(reader)
    assert got == body


async def test_a_commit_that_is_cancelled_in_line_leaves_no_place_in_it(tmp_path: Path) -> None:
    gate = Gate()
    async with open_bench(tmp_path / "engine.db") as bench:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.store._writer.submit, gate.enter)
            await gate.wait_inside(1)
            with trio.CancelScope() as scope:
                nursery.start_soon(_cancel_when_blocked, scope)
                await bench.create(run("gone", "a"))
            gate.open()
        assert bench.store._writer._line == []
        await bench.create(run("r", "a"))
        assert await bench.store.reads.workflow("gone") is None


async def _cancel_when_blocked(scope: trio.CancelScope) -> None:
    await wait_all_tasks_blocked()
    scope.cancel()


async def test_reads_that_are_cancelled_before_they_have_a_thread_keep_none(tmp_path: Path) -> None:
    gate = Gate()
    async with open_bench(tmp_path / "engine.db") as bench:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(bench.store._readers.read, gate.enter)
            await gate.wait_inside(3)
            with trio.CancelScope() as scope:
                nursery.start_soon(_cancel_when_blocked, scope)
                await bench.store.reads.workflow("r")
            assert scope.cancelled_caught
            gate.open()
        again = Gate()
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(bench.store._readers.read, again.enter)
            await again.wait_inside(3)
            again.open()


async def test_a_call_that_is_cancelled_before_its_turn_leaves_the_projection_to_others(
    tmp_path: Path,
) -> None:
    gate, store = Gate(), SQLiteProjectionStore(tmp_path)
    projection = await store.projection("p")
    projection._database.open().create_function("wait", 0, gate.enter)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(projection.query, "SELECT wait()")
        await gate.wait_inside(1)
        with trio.CancelScope() as scope:
            nursery.start_soon(_cancel_when_blocked, scope)
            await projection.query("SELECT 1 AS one")
        assert scope.cancelled_caught
        gate.open()
    assert await projection.query("SELECT 1 AS one") == [{"one": 1}]
    await store.close()


async def test_a_put_that_is_cancelled_leaves_its_thread_and_no_file(tmp_path: Path) -> None:
    store, scope = FileArtifactStore(tmp_path / "root"), trio.CancelScope()

    class Body:
        """Bytes that come when the put has been cancelled."""

        def __aiter__(self) -> "Body":
            return self

        async def __anext__(self) -> bytes:
            scope.cancel()
            await trio.lowlevel.cancel_shielded_checkpoint()
            return b"x"

    with scope:
        await store.put(an_object(Body()))
    assert scope.cancelled_caught
    assert [path for path in (tmp_path / "root").rglob("*") if path.is_file()] == []
    assert (await store.put(an_object(b"y"))).size == 1
