"""A child that is forked while a store or projection is open cannot open it: it has none of the locks."""

import os
import subprocess
import sys
import warnings
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from file_kit import lock_holder

from trio_workflow import (
    Config,
    Package,
    RunBuilder,
    SQLiteProjectionStore,
    SQLiteStore,
    open_runtime,
)
from trio_workflow.sqlite.connect import connect


def start(run: RunBuilder) -> None:
    run.step("s", kind="nobody")


def config(folder: Path) -> Config:
    store = SQLiteStore(folder / "engine.db", synchronous="OFF")
    return Config(store=store, projection_store=SQLiteProjectionStore(folder / "projections"))


async def use_store(folder: Path) -> None:
    async with open_runtime(config(folder)) as rt:
        rt.register_package(Package("p", entrypoint=start))
        await rt.start_run("p")


async def use_projection(folder: Path) -> None:
    store = SQLiteProjectionStore(folder / "projections")
    await store.projection("sales")
    await store.close()


def fork(use: Callable[[], None], note: Path) -> int:
    """A child that notes what the use raised. It closes nothing when it ends, as children of multiprocessing.

    Fork in a worker thread: `trio.run` refuses to run in a child of the thread that runs trio.
    """
    child = os.fork()
    if child == 0:
        warnings.simplefilter("ignore")  # trio's, that another trio run wanted the signals
        try:
            use()
            note.write_text("nothing")
        except BaseException as error:
            note.write_text(f"{type(error).__name__}: {error}")
        finally:
            os._exit(0)
    return child


def in_child(use: Callable[[], None], folder: Path) -> str:
    """What the use raised in a forked child, "nothing" if it raised nothing."""
    os.waitpid(fork(use, folder / "raised"), 0)
    return (folder / "raised").read_text()


REFUSED = "was open when this process was forked"
USES = [use_store, use_projection]


@pytest.mark.parametrize("use", USES)
def test_what_was_open_at_the_fork_is_refused_in_the_child(
    tmp_path: Path, use: Callable[[Path], Awaitable[None]]
) -> None:
    async def main() -> str:
        async with open_runtime(config(tmp_path)) as rt:
            await rt.projection("sales")
            raised = await trio.to_thread.run_sync(in_child, lambda: trio.run(use, tmp_path), tmp_path)
            assert lock_holder(tmp_path / "engine.db") == os.getpid()
            return raised

    raised = trio.run(main)
    assert raised.startswith("StoreError: ")
    assert REFUSED in raised
    assert "spawn" in raised


@pytest.mark.parametrize("use", USES)
def test_it_is_refused_after_the_parent_has_closed_it_too(
    tmp_path: Path, use: Callable[[Path], Awaitable[None]]
) -> None:
    closed, told = os.pipe()

    def wait_and_use() -> None:
        os.read(closed, 1)
        trio.run(use, tmp_path)

    async def main() -> None:
        async with open_runtime(config(tmp_path)) as rt:
            await rt.projection("sales")
            child.append(await trio.to_thread.run_sync(fork, wait_and_use, tmp_path / "raised"))

    child: list[int] = []
    trio.run(main)
    os.write(told, b"x")
    os.waitpid(child[0], 0)
    assert REFUSED in (tmp_path / "raised").read_text()
    trio.run(use_store, tmp_path)  # the parent may


@pytest.mark.parametrize("use", USES)
def test_a_child_that_was_forked_before_or_after_opens_it(
    tmp_path: Path, use: Callable[[Path], Awaitable[None]]
) -> None:
    assert in_child(lambda: trio.run(use, tmp_path), tmp_path) == "nothing"
    trio.run(use_store, tmp_path)
    trio.run(use_projection, tmp_path)
    assert in_child(lambda: trio.run(use, tmp_path), tmp_path) == "nothing"


def test_another_file_may_be_opened_by_the_child(tmp_path: Path) -> None:
    async def main() -> str:
        async with open_runtime(config(tmp_path)):
            use = lambda: trio.run(use_store, tmp_path / "other")  # noqa: E731 - as the others
            return await trio.to_thread.run_sync(in_child, use, tmp_path)

    assert trio.run(main) == "nothing"


def test_a_link_to_a_file_that_was_open_is_refused_too(tmp_path: Path) -> None:
    async def main() -> str:
        async with open_runtime(config(tmp_path)):
            (tmp_path / "linked").mkdir()
            (tmp_path / "linked" / "engine.db").symlink_to(tmp_path / "engine.db")
            use = lambda: trio.run(use_store, tmp_path / "linked")  # noqa: E731 - as the others
            return await trio.to_thread.run_sync(in_child, use, tmp_path)

    assert REFUSED in trio.run(main)


EXIT_IN_ORDER = """
import os, sqlite3, subprocess, sys
from trio_workflow.sqlite.connect import connect

path = sys.argv[1]
conn = connect(path)
conn.execute("SELECT * FROM runs").fetchall()
child = os.fork()
if child == 0:
    os.read(0, 1)  # until the parent has closed the store, and another process was killed
    conn.close()
    del conn
    sys.exit(0)
conn.close()
KILLED = "; ".join((
    "import os, sqlite3, sys",
    "conn = sqlite3.connect(sys.argv[1], isolation_level=None)",
    "conn.execute('PRAGMA wal_autocheckpoint = 0')",
    "conn.execute('INSERT INTO trash VALUES (1, 1)')",
    "os.kill(os.getpid(), 9)",
))
subprocess.run([sys.executable, "-c", KILLED, path], stdin=subprocess.DEVNULL)
print("ready", flush=True)
os.waitpid(child, 0)
"""


def test_a_child_that_exits_in_order_removes_no_log_of_others(tmp_path: Path) -> None:
    path = tmp_path / "engine.db"
    trio.run(use_store, tmp_path)
    command = [sys.executable, "-c", EXIT_IN_ORDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        assert path.with_name("engine.db-wal").stat().st_size > 0
        parent.communicate("x", timeout=60)
    assert path.with_name("engine.db-wal").stat().st_size > 0


def test_a_connection_is_listed_until_it_is_closed(tmp_path: Path) -> None:
    trio.run(use_store, tmp_path)
    path = str(tmp_path / "engine.db")
    conn = connect(path)
    assert REFUSED in in_child(lambda: connect(path).close(), tmp_path)
    conn.close()
    assert in_child(lambda: connect(path).close(), tmp_path) == "nothing"
