"""Stores that are as they should be, and stores that are spoilt on purpose: what the audit says of them."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from .acknowledged import Acknowledged, acknowledged
from .audit import examine
from .campaign import temporary_folder
from .events import Mark
from .marks import Marks
from .program import Workload
from .setting import Setting, Site

FULL, NORMAL = Setting(0), Setting(1)


class Store:
    """A store that the workload has left, and what was acknowledged to it."""

    def __init__(self, root: Path, promised: Acknowledged, moment: int) -> None:
        self.site, self._promised, self._moment = Site(root), promised, moment

    def problems(self, setting: Setting = FULL) -> list[str]:
        return examine(self.site.root, setting, self._promised, self._moment)

    def execute(self, sql: str, path: Path | None = None) -> None:
        with closing(sqlite3.connect(path or self.site.database, isolation_level=None)) as conn:
            assert conn.execute(sql).rowcount > 0

    def artifact(self) -> Path:
        """The bytes of one artifact of a run that is there."""
        with closing(sqlite3.connect(self.site.database)) as conn:
            [sha256] = conn.execute("SELECT sha256 FROM artifacts WHERE ref IS NOT NULL").fetchone()
        return next(path for path in self.site.artifacts.glob(f"*/*/{sha256}*") if path.suffix != ".json")


@pytest.fixture
def store() -> Iterator[Store]:
    with temporary_folder() as folder:
        root, file = folder / "root", folder / "marks"
        root.mkdir()
        with closing(Marks(file)) as marks:
            workload = Workload(FULL, Site(root), marks, "a")
            trio.run(workload.run, clock=MockClock(autojump_threshold=0))
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        found = [Mark(begin=at, end=at, line=line) for at, line in enumerate(lines)]
        yield Store(root, acknowledged(found), len(found))


@pytest.mark.parametrize("setting", [FULL, NORMAL], ids=["FULL", "NORMAL"])
def test_a_store_that_was_left_in_order_has_no_problems(store: Store, setting: Setting) -> None:
    assert store.problems(setting) == []


def test_artifact_bytes_that_are_gone(store: Store) -> None:
    store.artifact().unlink()
    assert "has no bytes with SHA-256" in store.problems()[0]


def test_artifact_bytes_that_are_others(store: Store) -> None:
    path = store.artifact()
    path.write_bytes(bytes(path.stat().st_size))
    first, second, *_ = store.problems()
    assert "is damaged" in first
    assert "has other bytes than its name says" in second


def test_a_run_that_is_gone(store: Store) -> None:
    store.execute("UPDATE runs SET id = 'small-b-1' WHERE run_key = (SELECT min(run_key) FROM runs)")
    problems = store.problems(NORMAL)
    assert problems[0] == "run small-b-1 was never started"
    assert "no prefix of what was acknowledged" in problems[-1]


def test_a_result_that_is_another(store: Store) -> None:
    store.execute("UPDATE results SET data = '1' WHERE step_key = (SELECT min(step_key) FROM results)")
    [problem] = store.problems()
    assert "has 1, not" in problem


def test_a_note_that_is_gone(store: Store) -> None:
    [view] = store.site.projections.glob("*.db")
    store.execute("DELETE FROM notes WHERE rowid = 1", view)
    [problem] = store.problems(NORMAL)
    assert problem.startswith("the note of run ")
    assert "is not there, against what was acknowledged" in problem


def test_a_database_that_is_gone(store: Store) -> None:
    store.site.database.unlink()
    assert store.problems(NORMAL)[0] == "the database is gone after the store was opened"


def test_a_database_that_is_refused(store: Store) -> None:
    store.site.database.write_bytes(b"")
    assert "is an empty file" in store.problems()[0]


def test_a_database_that_is_damaged(store: Store) -> None:
    size = store.site.database.stat().st_size
    with store.site.database.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"?" * (size // 2))
    assert store.problems()
