"""FileArtifactStore: exact bytes, many at once, nothing outside the root."""

# ruff: noqa: ASYNC230, ASYNC240 - these tests look at the disk while nothing else runs

import fcntl
import hashlib
import os
import string
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import artifact_kit
import attrs
import pytest
import trio
from artifact_kit import MIB, an_object, chunks, content, files, path_of
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from trio_workflow.artifacts import FileArtifactStore, reader, writer
from trio_workflow.artifacts.layout import Layout
from trio_workflow.durable_folders import make_folder
from trio_workflow.errors import ArtifactNotFoundError, ConfigError, StoreError, WorkflowError
from trio_workflow.model.artifact import ArtifactRef, Body

# The fixtures
root = artifact_kit.root
store = artifact_kit.store


# --- put and open ----------------------------------------------------------------------------------------


def test_a_root_is_required() -> None:
    for root in ("", "  ", None):
        with pytest.raises(ConfigError, match=r"^artifact store root is required$"):
            FileArtifactStore(root)  # type: ignore[arg-type]  # wrong on purpose


async def test_what_was_put_can_be_read_by_reference_and_by_id(store: FileArtifactStore) -> None:
    ref = await store.put(an_object(b"hello"))
    assert ref == ArtifactRef(
        id="run/step/one",
        uri=ref.uri,
        name="one.txt",
        kind="text",
        content_type="text/plain",
        metadata={"a": "ä"},
        size=5,
        sha256=hashlib.sha256(b"hello").hexdigest(),
    )
    assert path_of(ref).read_bytes() == b"hello"
    for key in (ref, ref.id):
        async with store.open(key) as reader:
            assert reader.ref == ref
            assert await reader.read() == b"hello"
            assert await reader.read() == b""


async def test_every_kind_of_body_is_stored_as_its_bytes(store: FileArtifactStore, tmp_path: Path) -> None:
    big = os.urandom(3 * MIB + 1)
    path = tmp_path / "body"
    path.write_bytes(big)
    wide = memoryview(big[: 2 * MIB]).cast("I")
    bodies: list[tuple[Body, bytes]] = [
        (b"", b""),
        (b"x" * MIB, b"x" * MIB),
        (bytearray(b"abc"), b"abc"),
        (memoryview(b""), b""),
        (memoryview(b"abcdef")[::2], b"ace"),
        (wide, big[: 2 * MIB]),
        (big, big),
        (path, big),
        (trio.Path(path), big),
        (chunks(), b""),
        (chunks(b"", b"a", b"", bytearray(b"b"), memoryview(b"c")), b"abc"),
        (chunks(b"a", big, b"b", big[:MIB], b"c"), b"a" + big + b"b" + big[:MIB] + b"c"),
        (chunks(*[big[:300_000]] * 9), big[:300_000] * 9),
    ]
    for body, expected in bodies:
        ref = await store.put(an_object(body))
        assert (ref.size, ref.sha256) == (len(expected), hashlib.sha256(expected).hexdigest())
        assert await content(store, ref) == expected


async def test_chunks_and_the_rest_can_be_read_in_turn(store: FileArtifactStore) -> None:
    body = os.urandom(3 * MIB + 5)
    ref = await store.put(an_object(body))
    async with store.open(ref) as reader:
        assert b"".join([chunk async for chunk in reader]) == body
    async with store.open(ref) as reader:
        first = await anext(aiter(reader))
        assert 0 < len(first) < len(body)
        assert first + await reader.read() == body
    with pytest.raises(WorkflowError, match="after its block"):
        await reader.read()


@pytest.mark.parametrize("body", ["text", 7, None, ["a"]])
async def test_a_body_that_is_no_bytes_is_refused(store: FileArtifactStore, root: Path, body: Body) -> None:
    with pytest.raises(TypeError, match="an artifact body is bytes"):
        await store.put(an_object(body))
    assert not root.exists()


@pytest.mark.parametrize("chunk", ["text", 7, None])
async def test_a_chunk_that_is_no_bytes_is_refused_and_nothing_is_stored(
    store: FileArtifactStore, root: Path, chunk: bytes
) -> None:
    closed: list[bool] = []

    async def body() -> AsyncIterator[bytes]:
        try:
            yield b"x" * MIB
            yield chunk
        finally:
            closed.append(True)

    with pytest.raises(TypeError, match="a chunk of an artifact body is bytes"):
        await store.put(an_object(body()))
    assert closed == [True]
    assert files(root) == []


async def test_a_body_file_that_does_not_exist_is_the_callers_error(
    store: FileArtifactStore, root: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        await store.put(an_object(Path("nowhere")))
    assert files(root) == []


async def test_what_is_not_there_is_not_found(store: FileArtifactStore) -> None:
    ref = await store.put(an_object(b"hello"))
    other = attrs.evolve(ref, sha256="0" * 64)
    for key in ("nothing", other):
        with pytest.raises(ArtifactNotFoundError):
            await content(store, key)


# --- exact bytes -----------------------------------------------------------------------------------------


async def test_a_stale_put_cannot_replace_what_was_committed(store: FileArtifactStore) -> None:
    committed = await store.put(an_object(b"committed"))
    stale = await store.put(an_object(b"stale"))
    assert await content(store, committed) == b"committed"
    assert await content(store, stale) == b"stale"
    assert await content(store, committed.id) == b"stale"
    await store.delete(stale)
    assert await content(store, committed) == b"committed"


async def test_a_ref_made_in_another_place_still_names_its_bytes(root: Path) -> None:
    ref = await FileArtifactStore(root).put(an_object(b"hello"))
    moved = root.rename(root.with_name("moved"))
    assert await content(FileArtifactStore(moved), ref) == b"hello"
    async with FileArtifactStore(moved).open(ref.id) as reader:
        assert "/moved/" in reader.ref.uri


@pytest.mark.parametrize("size", [5, MIB, 2 * MIB + 5])
async def test_damaged_bytes_are_noticed_before_the_last_of_them_is_handed_out(
    store: FileArtifactStore, root: Path, size: int
) -> None:
    ref = await store.put(an_object(b"x" * size))
    with open(path_of(ref), "r+b") as file:
        file.write(b"y")
    for key in (ref, ref.id):
        with pytest.raises(StoreError, match="damaged: SHA-256"):
            await content(store, key)
        got = 0
        with pytest.raises(StoreError, match="damaged: SHA-256"):  # noqa: PT012 - the loop is the reader
            async with store.open(key) as reader:
                async for chunk in reader:
                    got += len(chunk)
        assert got < size


async def test_a_wrong_size_is_noticed_at_once(store: FileArtifactStore, root: Path) -> None:
    ref = await store.put(an_object(b"hello"))
    path_of(ref).write_bytes(b"hell")
    for key in (ref, ref.id):
        with pytest.raises(StoreError, match="it has 4 bytes and should have 5"):
            await content(store, key)


async def test_a_damaged_pointer_is_an_error_until_the_next_put(store: FileArtifactStore) -> None:
    ref = await store.put(an_object(b"hello"))
    latest = path_of(ref).with_name("latest.json")
    for text in ("", "{}", "[]", latest.read_text().replace(ref.sha256, "../../../secret")):
        latest.write_text(text)
        with pytest.raises(StoreError, match=r"latest\.json cannot be used"):
            await content(store, ref.id)
        assert await content(store, ref) == b"hello"
    await store.put(an_object(b"hello"))
    assert await content(store, ref.id) == b"hello"


# --- ids -------------------------------------------------------------------------------------------------

nasty_ids = st.text(st.sampled_from("aA%./\\~:\x00ä\n\ud800" + string.digits), max_size=9)
nasty_ids |= st.sampled_from(
    ["..", "../..", "/etc/passwd", "tmp", "latest.json", "x" * 767, "X" * 767, "ä" * 767]
)


@settings(max_examples=30, deadline=None)
@given(st.sets(nasty_ids, max_size=8))
def test_ids_never_share_a_file_and_never_leave_the_root(ids: set[str]) -> None:
    async def main() -> None:
        store = FileArtifactStore(Path(folder) / "root")
        refs = {one: await store.put(an_object(repr(one).encode(), one)) for one in ids}
        for one, ref in refs.items():
            assert await content(store, one) == await content(store, ref) == repr(one).encode()
        assert len({path.as_posix().lower() for path in files(Path(folder))}) == 3 * len(ids)
        assert os.listdir(folder) in ([], ["root"])
        for one in ids:
            await store.delete(one)
        assert files(Path(folder)) == []

    with TemporaryDirectory() as folder:
        trio.run(main, clock=MockClock())


@pytest.mark.parametrize("sha256", ["../../../../secret", "latest.json", "A" * 64, "", "0" * 63 + "\n"])
async def test_a_ref_cannot_lead_out_of_its_folder(store: FileArtifactStore, root: Path, sha256: str) -> None:
    ref = await store.put(an_object(b"hello"))
    secret = root.parent / "secret"
    secret.write_text("12345")
    forged = attrs.evolve(ref, sha256=sha256)
    with pytest.raises(ArtifactNotFoundError):
        await content(store, forged)
    before = files(root)
    await store.delete(forged)
    assert files(root) == before
    assert secret.exists()


# --- delete ----------------------------------------------------------------------------------------------


async def test_deleting_a_ref_removes_those_bytes_and_the_pointer_to_them(store: FileArtifactStore) -> None:
    first = await store.put(an_object(b"first"))
    second = await store.put(an_object(b"second"))
    await store.delete(second)
    for key in (second, second.id):
        with pytest.raises(ArtifactNotFoundError):
            await content(store, key)
    assert await content(store, first) == b"first"


async def test_deleting_a_ref_leaves_the_pointer_to_other_bytes(store: FileArtifactStore) -> None:
    first = await store.put(an_object(b"first"))
    await store.put(an_object(b"second"))
    await store.delete(first)
    assert await content(store, first.id) == b"second"


async def test_deleting_an_id_removes_all_that_was_put_under_it(store: FileArtifactStore, root: Path) -> None:
    for body in (b"first", b"second"):
        await store.put(an_object(body))
    other = await store.put(an_object(b"other", "other"))
    await store.delete("run/step/one")
    assert len(files(root)) == 3
    await store.delete(other)
    assert [path.name for path in root.iterdir()] == ["tmp"]


async def test_deleting_what_is_not_there_is_quiet(store: FileArtifactStore, root: Path) -> None:
    ref = await store.put(an_object(b"hello"))
    for key in ("nothing", ref, ref, ref.id):
        await store.delete(key)
    await FileArtifactStore(root / "elsewhere").delete(ref)
    assert not (root / "elsewhere").exists()


async def test_deleted_bytes_can_be_read_on(store: FileArtifactStore) -> None:
    ref = await store.put(an_object(b"hello"))
    async with store.open(ref) as reader:
        await store.delete(ref)
        assert await reader.read() == b"hello"


async def test_puts_and_deletes_of_many_at_once_leave_only_what_can_be_read(root: Path) -> None:
    """Several store objects on one root meet as several processes do: there are no locks."""

    async def put_and_delete(number: int) -> None:
        store = FileArtifactStore(root)
        for turn in range(15):
            body = b"%d" % (turn % 3)
            ref = await store.put(an_object(body, "shared"))
            try:
                assert await content(store, "shared") in (b"0", b"1", b"2")
                assert await content(store, ref) == body
            except ArtifactNotFoundError:
                pass  # another task has just deleted it
            await store.delete(ref if number % 2 else "shared")

    async with trio.open_nursery() as nursery:
        for number in range(8):
            nursery.start_soon(put_and_delete, number)
    assert files(root) == []
    assert [path.name for path in root.iterdir()] == ["tmp"]


async def test_an_id_that_moves_on_while_it_is_opened_names_the_newer_bytes(
    store: FileArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = await store.put(an_object(b"old")), await store.put(an_object(b"new"))
    latest = path_of(new).with_name("latest.json")
    names_new, names_old = latest.read_text(), path_of(old).with_name(f"{old.sha256}.json").read_text()
    path_of(old).unlink()
    latest.write_text(names_old)
    real_open = reader._open_data

    def open_late(path: Path) -> BinaryIO | None:
        latest.write_text(names_new)
        return real_open(path)

    monkeypatch.setattr(reader, "_open_data", open_late)
    assert await content(store, "run/step/one") == b"new"


async def test_a_folder_that_another_removes_before_it_is_filled_is_made_again(
    store: FileArtifactStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_make, folder = make_folder, Layout(root).place("run/step/one").folder
    made: list[Path] = []

    def make_and_lose(wanted: Path) -> None:
        real_make(wanted)
        made.append(wanted)
        if len(made) < 3:
            wanted.rmdir()

    monkeypatch.setattr(writer, "make_folder", make_and_lose)
    ref = await store.put(an_object(b"hello"))
    assert made == [folder] * 3
    assert await content(store, ref) == b"hello"
    assert list((root / "tmp").iterdir()) == []


async def test_a_process_that_is_stopped_in_the_middle_holds_up_nobody(
    store: FileArtifactStore, root: Path
) -> None:
    """Whatever it holds on the folders, as a stopped process would for as long as it is stopped."""
    ref = await store.put(an_object(b"before"))
    held = [os.open(path, os.O_RDONLY) for path in [root, *root.rglob("*")] if path.is_dir()]
    try:
        for fd in held:
            fcntl.flock(fd, fcntl.LOCK_EX)
        with trio.fail_after(60):
            assert await content(store, await store.put(an_object(b"after"))) == b"after"
            await store.delete(ref)
    finally:
        for fd in held:
            os.close(fd)


async def test_an_id_that_is_deleted_while_it_is_opened_is_not_found(
    store: FileArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    ref = await store.put(an_object(b"hello"))
    path_of(ref).unlink()
    real_open = reader._open_data

    def open_late(path: Path) -> BinaryIO | None:
        path.with_name("latest.json").unlink()
        return real_open(path)

    monkeypatch.setattr(reader, "_open_data", open_late)
    with pytest.raises(ArtifactNotFoundError):
        await content(store, ref.id)


async def test_deleting_a_ref_leaves_a_pointer_that_cannot_be_read_for_a_look(
    store: FileArtifactStore,
) -> None:
    ref = await store.put(an_object(b"hello"))
    pointer = path_of(ref).with_name("latest.json")
    pointer.write_text("{")
    await store.delete(ref)
    assert (path_of(ref).exists(), pointer.read_text()) == (False, "{")


async def test_an_async_iterable_that_is_no_generator_is_a_body_too(store: FileArtifactStore) -> None:
    class Lines:
        def __aiter__(self) -> AsyncIterator[bytes]:
            return self._lines().__aiter__()

        async def _lines(self) -> AsyncIterator[bytes]:
            yield b"one\n"
            yield b"two\n"

    assert await content(store, await store.put(an_object(Lines()))) == b"one\ntwo\n"
