"""Each folder that is made is followed by a sync of the folder that holds its name."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from trio_workflow import ArtifactObject, FileArtifactStore, SQLiteProjectionStore
from trio_workflow.durable_folders import ensure_folder, make_folder, sync_folder
from trio_workflow.store.sqlite.opening import open_file


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What is made and synced, in order, by the folder's path."""
    seen: list[tuple[str, str]] = []
    opened: dict[int, str] = {}

    def noting(name: str, note: Callable[..., None]) -> None:
        real = getattr(os, name)

        def call(*args: object, **options: object) -> object:
            found = real(*args, **options)
            note(found, *args)
            return found

        monkeypatch.setattr(os, name, call)

    noting("mkdir", lambda _, path, *mode: seen.append(("mkdir", str(path))))
    noting("open", lambda handle, path, *flags: opened.update({handle: str(path)}))
    noting("fsync", lambda _, handle: seen.append(("sync", opened[handle])) if handle in opened else None)
    return seen


def unsynced(calls: list[tuple[str, str]], root: Path) -> list[str]:
    """Folders whose names were not made durable before anything was made in them, or at all."""
    pending: list[str] = []
    wrong: list[str] = []
    for call, path in calls:
        if call == "mkdir":
            wrong += [folder for folder in pending if folder == os.path.dirname(path)]
            pending.append(path)
        else:
            pending = [folder for folder in pending if os.path.dirname(folder) != path]
    return wrong + pending


def test_every_level_is_synced_before_the_next_is_made(tmp_path: Path, calls: list[tuple[str, str]]) -> None:
    make_folder(tmp_path / "a" / "b" / "c")
    a = str(tmp_path / "a")
    assert calls == [
        ("mkdir", a),
        ("sync", str(tmp_path)),
        ("mkdir", f"{a}/b"),
        ("sync", a),
        ("mkdir", f"{a}/b/c"),
        ("sync", f"{a}/b"),
    ]
    assert unsynced(calls, tmp_path) == []


def test_the_name_of_a_folder_that_another_has_made_is_synced_by_who_relies_on_it(
    tmp_path: Path, calls: list[tuple[str, str]]
) -> None:
    (tmp_path / "a").mkdir()
    calls.clear()
    ensure_folder(tmp_path / "a")
    assert calls == [("sync", str(tmp_path))]


def test_a_file_in_place_of_a_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "a")
    with pytest.raises(NotADirectoryError):
        make_folder(tmp_path / "a" / "b")


def test_a_folder_that_cannot_be_read_is_synced_with_everything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> int:
        raise PermissionError

    synced: list[bool] = []
    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(os, "sync", lambda: synced.append(True))
    sync_folder(tmp_path)
    assert synced == [True]


def test_a_new_store_syncs_the_folders_it_makes_and_its_own_name(
    tmp_path: Path, calls: list[tuple[str, str]]
) -> None:
    path = tmp_path / "var" / "data" / "engine.db"
    open_file(str(path), "FULL").close()
    assert unsynced(calls, tmp_path) == []
    assert calls[-1] == ("sync", str(path.parent))


async def test_artifacts_and_projections_sync_the_folders_they_make(
    tmp_path: Path, calls: list[tuple[str, str]]
) -> None:
    artifacts = FileArtifactStore(tmp_path / "var" / "artifacts")
    obj = ArtifactObject(id="r/s/a", name="a", kind="k", content_type="a/b", metadata={}, body=b"x")
    await artifacts.put(obj)
    projections = SQLiteProjectionStore(tmp_path / "other" / "projections")
    await projections.projection("sales")
    await projections.close()
    late = unsynced(calls, tmp_path)
    # The last two levels of an artifact are made at once and synced together, before the put returns.
    assert [folder for folder in late if "/artifacts/" not in folder] == []
    synced = {path for call, path in calls if call == "sync"}
    assert {os.path.dirname(path) for call, path in calls if call == "mkdir"} <= synced


def test_a_store_that_is_not_to_be_made_is_not_made(tmp_path: Path) -> None:
    from trio_workflow import Config, SQLiteStore, StoreError, open_runtime

    path = tmp_path / "var" / "engine.db"

    async def use(create: bool) -> None:
        async with open_runtime(Config(store=SQLiteStore(path, create=create))):
            pass

    with pytest.raises(StoreError, match=f"^workflow store {path} does not exist$"):
        trio.run(use, False)
    assert os.listdir(tmp_path) == []
    trio.run(use, True)
    trio.run(use, False)
