"""Bytes of runs that had the same id one after another: never in one file, never taken for each other."""

# ruff: noqa: ASYNC240 - these tests look at the disk while nothing else runs

import json
from pathlib import Path

import artifact_kit
import attrs
import pytest
import trio
from artifact_kit import an_object, content, files, path_of
from stories import config, define
from trio.testing import MockClock

from trio_workflow import Runtime, StepContext, executor, open_runtime
from trio_workflow.artifacts import FileArtifactStore
from trio_workflow.errors import ArtifactNotFoundError, OptionError, StoreError
from trio_workflow.model.artifact import ArtifactObject, ArtifactRef

# The fixtures
root = artifact_kit.root
store = artifact_kit.store


def of_life(life: str, body: bytes = b"same", id: str = "run/step/one") -> ArtifactObject:
    return attrs.evolve(an_object(body, id), life=life)


async def test_the_same_bytes_of_two_lives_are_two_files_and_of_one_life_one(
    store: FileArtifactStore, root: Path
) -> None:
    none, first, again, second = [await store.put(of_life(life)) for life in ("", "1", "1", "2")]
    assert first == again
    assert [path_of(ref).name for ref in (none, first, second)] == [
        none.sha256,
        f"{none.sha256}-1",
        f"{none.sha256}-2",
    ]
    assert len(files(root)) == 3 * 2 + 1
    for ref in (none, first, second):
        assert ref == attrs.evolve(none, uri=ref.uri)
        assert await content(store, ref) == b"same"


@pytest.mark.parametrize("order", [("", "1", "2"), ("2", "1", ""), ("1", "", "2")])
async def test_deleting_a_ref_leaves_the_bytes_of_other_lives(
    store: FileArtifactStore, root: Path, order: tuple[str, ...]
) -> None:
    refs = {life: await store.put(of_life(life)) for life in ("", "1", "2")}
    for number, life in enumerate(order):
        await store.delete(refs[life])
        for gone in order[: number + 1]:
            with pytest.raises(ArtifactNotFoundError):
                await content(store, refs[gone])
        for left in order[number + 1 :]:
            assert await content(store, refs[left]) == b"same"
    assert files(root) == []


async def test_an_id_names_the_last_put_of_any_life_until_that_is_deleted(store: FileArtifactStore) -> None:
    for life in ("1", "2", "", "1"):
        last = await store.put(of_life(life))
        async with store.open(last.id) as reader:
            assert reader.ref == last
    other = await store.put(of_life("3"))
    await store.delete(last)
    async with store.open(last.id) as reader:
        assert reader.ref == other
    await store.delete(other)
    with pytest.raises(ArtifactNotFoundError):
        await content(store, last.id)


async def test_deleting_an_id_removes_every_life(store: FileArtifactStore, root: Path) -> None:
    for life in ("", "1", "_-z9"):
        await store.put(of_life(life))
    await store.delete("run/step/one")
    assert files(root) == []


async def test_a_ref_of_a_life_still_names_its_bytes_in_another_place(root: Path) -> None:
    ref = await FileArtifactStore(root).put(of_life("7"))
    moved = FileArtifactStore(root.rename(root.with_name("moved")))
    assert await content(moved, ref) == b"same"
    await moved.delete(ref)
    assert files(root.with_name("moved")) == []


async def test_refs_of_stores_without_lives_name_what_has_none(store: FileArtifactStore) -> None:
    """Whatever their uri says: nobody looked at it then."""
    await store.put(of_life("1"))
    ref = await store.put(an_object(b"same"))
    for uri in (ref.uri, "", "https://example.org/x", f"{ref.uri}-", f"file:///{'0' * 64}-1"):
        old = attrs.evolve(ref, uri=uri)
        assert await content(store, old) == b"same"
    await store.delete(attrs.evolve(ref, uri=""))
    with pytest.raises(ArtifactNotFoundError):
        await content(store, ref)


NO_LIVES = ["../x", "a/b", "a.b", ".", "A", "ä", "1\n", "\x00", "x" * 65, " ", 7, None]


@pytest.mark.parametrize("life", NO_LIVES)
async def test_what_is_no_life_is_refused_and_leads_nowhere(
    store: FileArtifactStore, root: Path, life: str
) -> None:
    with pytest.raises(OptionError, match="an artifact's life is at most 64 lowercase letters"):
        await store.put(of_life(life))
    assert not root.exists()
    ref = await store.put(of_life("1"))
    secret = root.parent / "secret"
    secret.write_text("same")
    before = files(root)
    forged = attrs.evolve(ref, uri=f"{ref.uri.removesuffix('1')}{life}")
    with pytest.raises(ArtifactNotFoundError):
        await content(store, forged)
    await store.delete(forged)
    assert files(root) == before
    latest = path_of(ref).with_name("latest.json")
    latest.write_text(json.dumps(json.loads(latest.read_text()) | {"life": life}))
    with pytest.raises(StoreError, match=r"latest\.json cannot be used"):
        await content(store, ref.id)


@executor("same")
async def same(step: StepContext) -> str:
    ref = await step.store_artifact("a.bin", "application/x", b"same")
    return ref.uri


class Late(FileArtifactStore):
    """Its process is stopped before it deletes, until it is told to go on."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.has_stopped, self.may_go_on = trio.Event(), trio.Event()

    async def delete(self, ref_or_id: ArtifactRef | str, /) -> None:
        self.has_stopped.set()
        await self.may_go_on.wait()
        await super().delete(ref_or_id)


async def read(rt: Runtime) -> bytes:
    async with rt.open_artifact("r", "s", "a.bin") as reader:
        return await reader.read()


async def test_who_removes_a_run_late_leaves_the_bytes_of_the_next_one_with_its_id(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    late, prompt = Late(tmp_path / "artifacts"), FileArtifactStore(tmp_path / "artifacts")
    async with (
        open_runtime(config(tmp_path, artifact_store=late)) as a,
        open_runtime(config(tmp_path, artifact_store=prompt)) as b,
        trio.open_nursery() as nursery,
    ):
        for rt in (a, b):
            define(rt, same)
        await b.start_run("p", run_id="r")
        await b.run_once()
        nursery.start_soon(a.delete_run, "r")
        await late.has_stopped.wait()
        await b.prune(1e9)
        await b.start_run("p", run_id="r")  # at the same time: only the row tells the two apart
        await b.run_once()
        late.may_go_on.set()
        await trio.sleep(1)
        assert await read(b) == b"same"
        await b.delete_run("r")
        assert files(tmp_path / "artifacts") == []


async def test_attempts_of_one_run_that_store_the_same_bytes_share_a_file(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("twice")
    async def twice(step: StepContext) -> None:
        await step.store_artifact("a.bin", "application/x", b"same")
        if step.attempt == 1:
            await trio.sleep(100)

    async with open_runtime(config(tmp_path, artifact_store=FileArtifactStore(tmp_path / "artifacts"))) as rt:
        define(rt, twice, graph=lambda run: run.step("s", kind="twice", timeout=1) and None)
        await rt.start_run("p", run_id="r")
        await rt.run_once()
        await trio.sleep(100)
        await rt.run_once()
        assert await read(rt) == b"same"
        assert len(files(tmp_path / "artifacts")) == 3
