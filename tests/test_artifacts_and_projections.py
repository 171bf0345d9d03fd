"""Artifacts and projections through the runtime: what a commit refers to is there, and stays what it was."""

import hashlib
import json
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from stories import Switch, define, ended, opened, outcomes, status, working
from trio.testing import MockClock

from trio_workflow import (
    ArtifactNotFoundError,
    ConfigError,
    FileArtifactStore,
    Permanent,
    QueueConfig,
    RunBuilder,
    Runtime,
    SQLiteProjectionStore,
    StepContext,
    executor,
)


def files(folder: Path) -> set[str]:
    """Every file under a folder, but for those that a store keeps for itself."""
    found = (Path(root) / name for root, _, names in os.walk(folder / "artifacts") for name in names)
    return {path.name for path in found}


async def read(rt: Runtime, run_id: str, name: str, step_id: str = "s") -> bytes:
    async with rt.open_artifact(run_id, step_id, name) as reader:
        return await reader.read()


async def test_an_artifact_is_read_back_inline_or_external(tmp_path: Path, autojump_clock: MockClock) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"from a file" * 1000)

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(3):
            await trio.sleep(1)
            yield bytes([number]) * 100_000

    @executor("work")
    async def work(step: StepContext) -> str:
        step.artifact("inline", "text/plain", b"inline", metadata={"a": "b"})
        ref = await step.store_artifact("bytes", "image/png", b"bytes")
        await step.store_artifact("file", "text/plain", source)
        await step.store_artifact("stream", "x/y", pieces(), id="x/%", kind="k", metadata={"m": "1"})
        with pytest.raises(TypeError, match="str"):
            await step.store_artifact("text", "text/plain", "text")  # type: ignore[arg-type]  # wrong on purpose
        assert (ref.id, ref.size, ref.sha256) == ("r/s/artifact:002", 5, hashlib.sha256(b"bytes").hexdigest())
        return ref.id

    async with opened(tmp_path, artifact_store=FileArtifactStore(tmp_path / "artifacts")) as rt:
        define(rt, work)
        await rt.start_run("p", run_id="r")
        await rt.run_once()
        result = await ended(rt, "r")
        reference = ("external-artifact-ref", "application/json")
        assert [(a.id, a.name, (a.kind, a.content_type), a.size) for a in result.artifacts] == [
            ("r/s/artifact:001", "inline", ("text", "text/plain"), 6),
            ("r/s/artifact:002", "bytes.ref.json", reference, 5),
            ("r/s/artifact:003", "file.ref.json", reference, 11_000),
            ("r/s/x%2F%25", "stream.ref.json", reference, 300_000),
        ]
        assert [a.body for a in result.artifacts][:1] == [b"inline"]
        assert json.loads(result.artifacts[1].body or b"")["sha256"] == hashlib.sha256(b"bytes").hexdigest()
        for name in ("bytes", "bytes.ref.json"):  # by the name it was given, and by the reference's
            assert await read(rt, "r", name) == b"bytes"
        assert await read(rt, "r", "inline") == b"inline"
        assert await read(rt, "r", "file") == source.read_bytes()
        async with rt.open_artifact("r", "s", "stream") as reader:
            assert (reader.ref.kind, reader.ref.metadata) == ("k", {"m": "1"})
            chunks = [chunk async for chunk in reader]
        assert b"".join(chunks) == b"".join(bytes([n]) * 100_000 for n in range(3))
        for names in (("r", "s", "none"), ("r", "none", "inline"), ("none", "s", "inline")):
            with pytest.raises(ArtifactNotFoundError, match="none"):
                async with rt.open_artifact(*names):
                    pass


async def test_what_a_failed_attempt_put_is_no_artifact(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("work")
    async def work(step: StepContext) -> None:
        await step.store_artifact("a", "text/plain", b"a")
        raise Permanent("broken")

    async with opened(tmp_path, artifact_store=FileArtifactStore(tmp_path / "artifacts")) as rt:
        define(rt, work)
        await rt.start_run("p", run_id="r")
        await rt.run_once()
        assert (await ended(rt, "r")).artifacts == ()
        with pytest.raises(ArtifactNotFoundError):
            await read(rt, "r", "a")


async def test_a_put_that_fails_can_be_tried_again_and_leaves_nothing(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise OSError("cable")

    @executor("work")
    async def work(step: StepContext) -> None:
        with pytest.raises(OSError, match="cable"):
            await step.store_artifact("a", "text/plain", broken(), id="same")
        assert files(tmp_path) == set()
        with trio.move_on_after(1):
            await step.store_artifact("a", "text/plain", slow(), id="same")
        assert files(tmp_path) == set()
        await step.store_artifact("a", "text/plain", b"whole", id="same")

    async def slow() -> AsyncIterator[bytes]:
        yield b"half"
        await trio.sleep(1000)

    async with opened(tmp_path, artifact_store=FileArtifactStore(tmp_path / "artifacts")) as rt:
        define(rt, work)
        await rt.start_run("p", run_id="r")
        await rt.run_once()
        assert await outcomes(rt, "r") == ["succeeded"]
        assert await read(rt, "r", "a") == b"whole"


async def test_a_zombies_late_put_does_not_replace_committed_bytes(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("work")
    async def work(step: StepContext) -> None:
        body = b"fresh"
        if step.attempt == 1:
            body = b"stale"
            with trio.CancelScope(shield=True):
                await trio.sleep(100)
                await step.store_artifact("a", "text/plain", body, id="a")
                late.set()
        await step.store_artifact("a", "text/plain", body, id="a")

    late = trio.Event()
    switch, store = Switch(tmp_path), FileArtifactStore(tmp_path / "artifacts")
    async with (
        opened(tmp_path, store=switch, artifact_store=store) as one,
        opened(tmp_path, poll_interval=1, artifact_store=store) as two,
    ):
        define(one, work)
        define(two, work)
        run = await two.start_run("p")
        async with working(one):
            await trio.sleep(5)
            switch.is_down = True
            async with working(two):
                await run.wait()
            assert trio.current_time() < 50
            await late.wait()
            switch.is_down = False
        assert await outcomes(two, run.id) == ["lease_lost", "succeeded"]
        assert await read(two, run.id, "a") == b"fresh"
        async with store.open(f"{run.id}/s/a") as reader:  # an id names the last put
            assert await reader.read() == b"stale"


@pytest.mark.parametrize("way", ["delete", "prune", "keep_finished"])
async def test_removing_a_run_removes_its_bytes_and_no_others(
    tmp_path: Path, autojump_clock: MockClock, way: str
) -> None:
    @executor("work")
    async def work(step: StepContext, body: str) -> None:
        for number in range(3):
            await step.store_artifact(f"a{number}", "text/plain", f"{body} {number}".encode())
        step.artifact("inline", "text/plain", b"inline")

    def start(run: RunBuilder, body: str) -> None:
        run.step("s", body, kind="work")

    store = FileArtifactStore(tmp_path / "artifacts")
    keep = 50 if way == "keep_finished" else None
    async with opened(tmp_path, artifact_store=store, keep_finished=keep) as rt:
        define(rt, work, graph=start)
        await rt.start_run("p", "old", run_id="old")
        await rt.run_once()
        await trio.sleep(60)
        await rt.start_run("p", "new", run_id="new")
        await rt.run_once()
        before = files(tmp_path)
        if way == "delete":
            await rt.delete_run("old")
        elif way == "prune":
            assert await rt.prune(50) == 1
        else:
            async with working(rt):
                await trio.sleep(1)
        assert await rt.workflow("old") is None
        assert len(files(tmp_path)) < len(before)
        hashes = {hashlib.sha256(f"old {n}".encode()).hexdigest() for n in range(3)}
        assert not [name for name in files(tmp_path) if name[:64] in hashes]
        assert await read(rt, "new", "a2") == b"new 2"
        with pytest.raises(ArtifactNotFoundError):
            await read(rt, "old", "a2")


async def test_a_runtime_without_an_artifact_store_says_so(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("work")
    async def work(step: StepContext) -> None:
        await step.store_artifact("a", "text/plain", b"a")
        step.artifact("inline", "text/plain", b"inline")

    async with opened(tmp_path, artifact_store=FileArtifactStore(tmp_path / "artifacts")) as rt:
        define(rt, work)
        await rt.start_run("p", run_id="r")
        await rt.run_once()
    async with opened(tmp_path) as without:
        assert await read(without, "r", "inline") == b"inline"
        with pytest.raises(ConfigError, match=r"^artifact store is not configured$"):
            await read(without, "r", "a")


DEFAULT_KINDS = [
    ("a.pdf", "application/pdf", "application"),
    ("a.pdf", "", "pdf"),
    ("a.tar.gz", "", "gz"),
    ("name", "", "artifact"),
    (".hidden", "", "artifact"),
]


async def test_a_kind_has_a_default(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("work")
    async def work(step: StepContext) -> None:
        for name, content_type, _ in DEFAULT_KINDS:
            step.artifact(name, content_type, b"")

    async with opened(tmp_path) as rt:
        define(rt, work)
        await rt.start_run("p", run_id="r")
        await rt.run_once()
        assert [a.kind for a in (await ended(rt, "r")).artifacts] == [kind for *_, kind in DEFAULT_KINDS]


BAD_ARTIFACTS: list[Callable[[StepContext], Any]] = [
    lambda step: step.artifact("", "text/plain", b""),
    lambda step: step.artifact("a\nb", "text/plain", b""),
    lambda step: step.artifact("a", "\ud800", b""),
    lambda step: step.artifact("a", "text/plain", b"", id=""),
    lambda step: step.artifact("a", "text/plain", b"", id="\x00"),
    lambda step: step.artifact("a", "text/plain", b"", kind="k\n"),
    lambda step: step.artifact("a", "text/plain", b"", metadata={"a": 1}),  # type: ignore[dict-item]  # wrong on purpose
    lambda step: step.record("", "k", 1),
    lambda step: step.record("c", "\ud800", 1),
]


async def test_bad_names_are_refused(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("work")
    async def work(step: StepContext) -> None:
        for number, bad in enumerate(BAD_ARTIFACTS):
            try:
                bad(step)
            except ValueError:
                continue
            raise AssertionError(number)

    async with opened(tmp_path) as rt:
        define(rt, work)
        await rt.start_run("p", run_id="r")
        await rt.run_once()
        assert await outcomes(rt, "r") == ["succeeded"]
        assert (await ended(rt, "r")).artifacts == ()


# --- projections -----------------------------------------------------------------------------------------


async def test_a_projection_is_shared_by_steps_and_the_runtime(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("count")
    async def count(step: StepContext) -> None:
        pages = await step.projection("pages")
        await pages.execute("CREATE TABLE IF NOT EXISTS page (id TEXT PRIMARY KEY, n INTEGER)")
        async with pages.transaction() as tx:
            [row] = await tx.query("SELECT count(*) AS n FROM page")
            await trio.sleep(1)  # the others wait
            await tx.execute("INSERT INTO page VALUES (?, ?)", step.id, row["n"])

    def start(run: RunBuilder) -> None:
        for _ in range(5):
            run.step(kind="count")

    settings = {"projection_store": SQLiteProjectionStore(tmp_path / "projections")}
    async with opened(tmp_path, max_workers=5, default_queue=QueueConfig(5), **settings) as rt:  # type: ignore[arg-type]  # a dict of several types
        define(rt, count, graph=start)
        run = await rt.start_run("p")
        async with working(rt):
            await run.wait()
        assert await status(rt, run.id) == "succeeded"
        pages = await rt.projection("pages")
        assert [row["n"] for row in await pages.query("SELECT n FROM page ORDER BY n")] == [0, 1, 2, 3, 4]
        with pytest.raises(ValueError, match="name"):
            await rt.projection("")


async def test_an_attempt_that_is_cancelled_in_a_transaction_leaves_nothing_of_it(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("work")
    async def work(step: StepContext) -> None:
        pages = await step.projection("pages")
        await pages.execute("CREATE TABLE page (id TEXT)")
        async with pages.transaction() as tx:
            await tx.execute("INSERT INTO page VALUES ('a')")
            await trio.sleep_forever()

    store = SQLiteProjectionStore(tmp_path / "projections")
    async with opened(tmp_path, projection_store=store) as rt:
        define(rt, work)
        run = await rt.start_run("p")
        async with working(rt):
            await trio.sleep(1)
            await rt.cancel_run(run.id)
            await run.wait()
        pages = await rt.projection("pages")
        assert await pages.query("SELECT * FROM page") == []
