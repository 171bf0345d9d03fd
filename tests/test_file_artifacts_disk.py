"""FileArtifactStore on its disk: whole or not at all, in the right order, with little memory."""

# ruff: noqa: ASYNC220 - these tests look at the disk while nothing else runs

import errno
import os
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import artifact_kit
import pytest
import trio
from artifact_kit import MIB, an_object, chunks, content, files, path_of
from trio.testing import MockClock

from trio_workflow.artifacts import ArtifactReader, FileArtifactStore, writer
from trio_workflow.artifacts.layout import Layout
from trio_workflow.durable_folders import make_folder, sync_folder
from trio_workflow.errors import ArtifactNotFoundError, StoreUnavailableError

# The fixtures
root = artifact_kit.root
store = artifact_kit.store


# --- whole or not at all ---------------------------------------------------------------------------------


async def test_a_cancelled_put_leaves_nothing(store: FileArtifactStore, root: Path) -> None:
    half = trio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 2 * MIB
        half.set()
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.put, an_object(body()))
        await half.wait()
        assert [path.parent.name for path in files(root)] == ["tmp"]
        assert files(root)[0].stat().st_size > 0
        nursery.cancel_scope.cancel()
    assert files(root) == []


async def test_a_body_that_raises_halfway_leaves_what_was_there(store: FileArtifactStore, root: Path) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x" * 2 * MIB
        raise ConnectionError

    await store.put(an_object(b"before"))
    before = files(root)
    with pytest.raises(ConnectionError):
        await store.put(an_object(body()))
    assert files(root) == before
    assert await content(store, "run/step/one") == b"before"


@pytest.mark.parametrize("failing", ["_sync_and_close", "_write_record", "make_folder", "sync_folder"])
async def test_a_disk_that_fails_during_a_put_leaves_the_last_put_in_place(
    store: FileArtifactStore, root: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise OSError("the disk is gone")

    before = await store.put(an_object(b"before"))
    with monkeypatch.context() as patch:
        patch.setattr(writer, failing, fail)
        with pytest.raises(OSError, match="the disk is gone"):
            await store.put(an_object(b"after"))
    assert list((root / "tmp").iterdir()) == []
    assert await content(store, before) == await content(store, before.id) == b"before"


@pytest.mark.parametrize("full", [errno.ENOSPC, errno.EDQUOT])
async def test_a_full_disk_is_told_as_a_store_that_may_be_tried_again(
    store: FileArtifactStore, root: Path, monkeypatch: pytest.MonkeyPatch, full: int
) -> None:
    def fail(self: writer.PartFile, piece: bytes) -> None:
        raise OSError(full, os.strerror(full))

    with monkeypatch.context() as patch:
        patch.setattr(writer.PartFile, "write", fail)
        with pytest.raises(StoreUnavailableError, match=r"artifact store .* the disk is full"):
            await store.put(an_object(b"hello"))
    assert files(root) == []
    await store.put(an_object(b"hello"))


async def test_a_body_whose_own_disk_is_full_raises_its_own_error(store: FileArtifactStore) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full") as caught:
        await store.put(an_object(body()))
    assert caught.value.errno == errno.ENOSPC


async def test_a_put_whose_own_file_is_swept_away_raises_and_does_not_try_for_ever(
    store: FileArtifactStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make_late(folder: Path) -> None:
        for path in (root / "tmp").iterdir():
            path.unlink()
        make_folder(folder)

    monkeypatch.setattr(writer, "make_folder", make_late)
    with trio.fail_after(60), pytest.raises(FileNotFoundError):
        await store.put(an_object(b"hello"))
    assert files(root) == []


PUT_HALF = """
import sys, trio
from trio_workflow.artifacts import FileArtifactStore
from trio_workflow.model.artifact import ArtifactObject

async def body():
    yield b"x" * 2**21
    print("half", flush=True)
    await trio.sleep_forever()

one = ArtifactObject(id="one", name="", kind="", content_type="", metadata={}, body=body())
trio.run(FileArtifactStore(sys.argv[1]).put, one)
"""


async def test_a_killed_writer_leaves_no_artifact_and_its_leftovers_go_after_a_day(root: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PUT_HALF, str(root)], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"half\n"
        child.send_signal(signal.SIGKILL)
    (leftover,) = files(root)
    with pytest.raises(ArtifactNotFoundError):
        await content(FileArtifactStore(root), "one")
    await FileArtifactStore(root).put(an_object(b"fresh leftovers may still be written to"))
    assert leftover.exists()
    os.utime(leftover, (0, 0))
    await FileArtifactStore(root).put(an_object(b"old ones are nobody's"))
    assert not leftover.exists()


async def test_bytes_are_on_disk_before_they_have_a_name_and_named_before_the_pointer(
    store: FileArtifactStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []

    def noting(name: str, real: Callable[..., object], says: Callable[..., str]) -> Callable[..., object]:
        def call(*args: object) -> object:
            log.append(f"{name} {says(*args)}")
            return real(*args)

        return call

    def kind(name: str) -> str:
        return "data" if len(name) == 64 else "sidecar" if len(name) == 69 else name

    flush, name = writer._sync_and_close, writer._also_name
    monkeypatch.setattr(
        writer, "_sync_and_close", noting("flush", flush, lambda file: Path(file.name).suffix)
    )
    monkeypatch.setattr(writer, "_also_name", noting("name", name, lambda _, new: kind(new.name)))
    folder = Layout(root).place("run/step/one").folder
    names = {folder: "folder", folder.parent: "shard", root: "root"}
    monkeypatch.setattr(writer, "sync_folder", noting("flush", sync_folder, lambda path: names[path]))
    await store.put(an_object(b"hello"))
    assert log == [
        "flush .part",
        "flush .sidecar",
        "flush .latest",
        "name data",
        "name sidecar",
        "flush folder",
        "name latest.json",
        "flush folder",
        "flush shard",
        "flush root",
    ]


# --- memory and time -------------------------------------------------------------------------------------


async def test_64_mib_stream_through_in_less_than_8(store: FileArtifactStore) -> None:
    async def body() -> AsyncIterator[bytes]:
        for number in range(1024):
            yield bytes([number % 256]) * (64 * 1024)

    async def length(reader: ArtifactReader) -> int:
        return sum([len(chunk) async for chunk in reader])

    tracemalloc.start()
    try:
        ref = await store.put(an_object(body()))
        async with store.open(ref) as reader:
            assert await length(reader) == 64 * MIB
        copy = await store.put(an_object(path_of(ref)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert copy.sha256 == ref.sha256
    assert peak < 8 * MIB


async def test_under_a_mock_clock_time_stands_still_while_the_disk_works(
    store: FileArtifactStore, autojump_clock: MockClock
) -> None:
    with trio.fail_after(60):
        for number in range(10):
            ref = await store.put(an_object(chunks(b"x" * MIB, b"%d" % number)))
            assert len(await content(store, ref)) > MIB
            await store.delete(ref)
    assert trio.current_time() == 0


async def test_an_async_iterable_may_itself_wait_for_virtual_time(
    store: FileArtifactStore, autojump_clock: MockClock
) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(3):
            await trio.sleep(10)
            yield b"x"

    assert (await store.put(an_object(body()))).size == 3
    assert trio.current_time() == 30


async def test_deleting_an_id_leaves_what_others_put_beside_it(store: FileArtifactStore) -> None:
    ref = await store.put(an_object(b"hello"))
    note = path_of(ref).with_name("note.txt")
    note.write_text("mine")
    await store.delete(ref.id)
    assert list(note.parent.iterdir()) == [note]
