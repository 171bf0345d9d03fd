"""A process of an earlier version whose file is migrated under it writes nothing more, and ends."""

import sqlite3
import subprocess
import sys
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
import trio
from schema_kit import unpack

from trio_workflow import Config, Package, RunBuilder, SQLiteStore, StepContext, open_runtime
from trio_workflow.store.sqlite.migrations import NEWEST

PROGRAM = Path(__file__).with_name("old_process.py")
TOLD = f"has schema {NEWEST}, and this trio_workflow knows 1: upgrade trio_workflow"

package = Package("new")


@package.entrypoint
def start(run: RunBuilder) -> None:
    run.step("s", kind="new-work")


@package.executor("new-work")
async def new_work(step: StepContext) -> None: ...


@contextmanager
def old_process(path: Path, *options: str) -> Generator["subprocess.Popen[str]"]:
    command = [sys.executable, str(PROGRAM), str(path), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as old:
        assert old.stdout is not None
        assert old.stdout.readline() == "open\n"
        yield old


def migrate(path: Path) -> None:
    """A process of the new version starts beside it, and works."""

    async def main() -> None:
        async with open_runtime(Config(store=SQLiteStore(path))) as rt:
            rt.register_package(package)
            await rt.start_run("new", run_id="new")
            await rt.run_once()

    trio.run(main)


def start_late(old: "subprocess.Popen[str]") -> None:
    """Asks it to start a run. Its next write may have been another: it has ended then, and reads nothing."""
    assert old.stdin is not None
    with suppress(BrokenPipeError):
        old.stdin.write("late\n")
        old.stdin.flush()
    with suppress(BrokenPipeError):
        old.stdin.close()


def rest_of(old: "subprocess.Popen[str]") -> list[str]:
    assert old.stdout is not None
    return old.stdout.read().splitlines()


def run_ids(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as conn:
        return {run_id for (run_id,) in conn.execute("SELECT id FROM runs")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    unpack(1, tmp_path / "engine.db")
    return tmp_path / "engine.db"


def test_it_ends_at_a_poll_and_names_both_versions(path: Path) -> None:
    with old_process(path, "poll=0.05") as old:
        migrate(path)
        *_, crash, cause = rest_of(old)
    assert crash.startswith("crashed ")
    assert TOLD in crash
    assert cause.startswith("caused by StoreLostError")
    assert TOLD in cause


def test_it_ends_at_its_next_write_where_it_never_polls(path: Path) -> None:
    with old_process(path) as old:
        migrate(path)
        before = run_ids(path)
        start_late(old)
        *_, crash, cause = rest_of(old)
    assert TOLD in crash
    assert cause.startswith("caused by StoreLostError")
    assert run_ids(path) == before
    assert "late" not in before


def test_it_works_until_then(path: Path) -> None:
    with old_process(path) as old:
        assert old.stdin is not None
        old.stdin.write("early\n")
        old.stdin.close()
        lines = rest_of(old)
    assert lines[-1] == "ended"
    assert "early" in run_ids(path)
    migrate(path)
    assert {"early", "new"} <= run_ids(path)
