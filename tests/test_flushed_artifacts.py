"""What of an artifact is flushed to the disk, and when: no name may come before the bytes that it names."""

import os
from pathlib import Path

import pytest
from artifact_kit import an_object, path_of
from trio.testing import MockClock

from trio_workflow.artifacts import FileArtifactStore


async def test_bytes_are_flushed_before_they_have_a_name_and_folders_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    flushed: list[tuple[str, list[str]]] = []
    root, fsync = tmp_path / "root", os.fsync

    def named() -> list[str]:
        """Kinds of the names that there are outside of tmp/."""
        files = [path for path in root.rglob("*") if path.is_file() and path.parent.name != "tmp"]
        return sorted({"latest" if p.stem == "latest" else p.suffix or "bytes" for p in files})

    def record(handle: int) -> None:
        target = Path(os.readlink(f"/proc/self/fd/{handle}"))
        kind = target.suffix if target.is_file() else str(len(target.relative_to(root).parts))
        flushed.append((kind, named()))
        fsync(handle)

    store = FileArtifactStore(root)
    await store.put(an_object(b"the first makes and flushes the root"))
    await store.delete("run/step/one")
    monkeypatch.setattr(os, "fsync", record)
    ref = await store.put(an_object(b"x"))
    assert path_of(ref).read_bytes() == b"x"
    has_bytes, has_all = [".json", "bytes"], [".json", "bytes", "latest"]
    assert flushed == [
        (".part", []),
        (".sidecar", []),
        (".latest", []),
        ("2", has_bytes),  # the folder of the id, before its latest put is named
        ("2", has_all),
        ("1", has_all),  # the folder above
        ("0", has_all),  # the root
    ]
