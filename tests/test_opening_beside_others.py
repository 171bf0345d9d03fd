"""A store that is opened while others open and close it, and by other names than its own."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import trio

from trio_workflow import (
    ArtifactObject,
    Config,
    FileArtifactStore,
    SQLiteProjectionStore,
    SQLiteStore,
    StoreError,
    StoreUnavailableError,
    open_runtime,
)
from trio_workflow.store.sqlite import opening, second_names
from trio_workflow.store.sqlite.opening import open_file

LOCK = """
import sqlite3, sys
conn = sqlite3.connect(sys.argv[1], isolation_level=None)
conn.execute("PRAGMA locking_mode = EXCLUSIVE")
conn.execute("BEGIN IMMEDIATE")
conn.execute("UPDATE queues SET queue = queue")
conn.execute("COMMIT")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(path: Path) -> Generator["subprocess.Popen[str]"]:
    """Another process has the file for itself, as the last one has that closes it."""
    command = [sys.executable, "-c", LOCK, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        yield other
        other.communicate("")


def open_and_close(path: Path) -> None:
    async def main() -> None:
        async with open_runtime(Config(store=SQLiteStore(path))) as rt:
            assert await rt.check() == []

    trio.run(main)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "engine.db"
    open_file(str(path), "OFF").close()
    return path


def test_a_lock_that_passes_is_waited_for(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock goes after the first try that met it."""
    with locked(path) as other:
        pauses: list[float] = []

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 1:
                other.communicate("")

        monkeypatch.setattr("trio_workflow.store.sqlite.opening.time.sleep", sleep)
        open_and_close(path)
    assert pauses == [opening.OPEN_PAUSE] * len(pauses)
    assert pauses


def test_a_lock_that_stays_is_reported_at_last(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "OPEN_WAIT", 0.0)
    with locked(path), pytest.raises(StoreUnavailableError, match="is locked by another process"):
        open_and_close(path)


OPEN_OFTEN = """
import sys, trio
from trio_workflow import Config, SQLiteStore, open_runtime

async def main():
    for _ in range(25):
        async with open_runtime(Config(store=SQLiteStore(sys.argv[1], synchronous="OFF"))):
            pass

sys.stdin.readline()
trio.run(main)
"""


def together(path: Path) -> list[int]:
    command = [sys.executable, "-c", OPEN_OFTEN, str(path)]
    others = [subprocess.Popen(command, stdin=subprocess.PIPE, text=True) for _ in range(3)]
    for other in others:
        other.communicate("go\n")
    return [other.returncode for other in others]


def test_processes_that_open_and_close_one_store_do_not_hinder_each_other(path: Path) -> None:
    assert together(path) == [0, 0, 0]


def test_a_copy_without_a_log_may_be_opened_by_several_at_once(path: Path) -> None:
    for number in range(3):
        copy = path.with_name(f"copy-{number}.db")
        with closing(sqlite3.connect(path)) as conn:
            conn.execute("VACUUM INTO ?", (str(copy),))
        assert together(copy) == [0, 0, 0]


# --- names -----------------------------------------------------------------------------------------------


def test_a_hard_link_is_refused_by_both_names(path: Path) -> None:
    other = path.with_name("other.db")
    os.link(path, other)
    for name in (path, other):
        with pytest.raises(StoreError, match=r"has a second name \(a hard link\)"):
            open_file(str(name), "OFF")
    other.unlink()
    open_file(str(path), "OFF").close()


def test_a_draft_that_a_killed_starter_left_is_removed(path: Path) -> None:
    draft = path.with_name(".engine.db.0123456789abcdef.new")
    os.link(path, draft)
    open_file(str(path), "OFF").close()
    assert os.listdir(path.parent) == ["engine.db"]


def test_a_starter_whose_draft_another_removed_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def link_and_lose(source: str, name: str) -> None:
        link(source, name)
        os.unlink(source)

    monkeypatch.setattr(os, "link", link_and_lose)
    open_file(str(tmp_path / "engine.db"), "OFF").close()
    assert os.listdir(tmp_path) == ["engine.db"]


def test_a_file_that_is_mounted_by_itself_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a b"
    path = folder / "engine.db"
    open_file(str(path), "OFF").close()
    mounts = tmp_path / "mountinfo"
    escaped = str(path).replace(" ", "\\040")
    mounts.write_text(f"36 35 98:0 / / rw - ext4 /dev/a rw\n37 36 98:0 /x {escaped} rw - ext4 /dev/a rw\n")
    monkeypatch.setattr(second_names, "_MOUNTS", str(mounts))
    with pytest.raises(StoreError, match="is mounted as a single file"):
        open_file(str(path), "OFF")
    mounts.write_text(f"37 36 98:0 /x {str(folder).replace(' ', chr(92) + '040')} rw - ext4 /dev/a rw\n")
    open_file(str(path), "OFF").close()
    mounts.unlink()
    open_file(str(path), "OFF").close()


def test_a_path_that_is_too_long_for_sqlite_is_refused_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path.joinpath(*["x" * 100] * 5, "engine.db")
    with pytest.raises(StoreError, match="has a path of over 504 bytes: SQLite cannot open it"):
        open_file(str(path), "OFF")
    assert os.listdir(tmp_path) == []


async def test_stores_of_artifacts_and_projections_stay_where_their_links_led(tmp_path: Path) -> None:
    """A deploy that sets a link to the next release must not turn a store of the old one to the new."""
    for release in ("1", "2"):
        (tmp_path / release).mkdir()
    current = tmp_path / "current"
    current.symlink_to(tmp_path / "1")
    artifacts = FileArtifactStore(current / "artifacts")
    projections = SQLiteProjectionStore(current / "projections")
    current.unlink()
    current.symlink_to(tmp_path / "2")
    obj = ArtifactObject(id="r/s/a", name="a", kind="k", content_type="a/b", metadata={}, body=b"x")
    await artifacts.put(obj)
    await projections.projection("sales")
    await projections.close()
    assert sorted(os.listdir(tmp_path / "1")) == ["artifacts", "projections"]
    assert os.listdir(tmp_path / "2") == []
