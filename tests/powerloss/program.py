"""python -m tests.powerloss.program ROOT MARKS SEED NAME

The workload that is recorded: sessions of a runtime, in each of which runs are started, end, are cancelled,
deleted and pruned, while a reader comes and goes. Limits of the engine are lowered, so that a small store has
checkpoints, and is cut, as a large one is.
"""

import logging
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, closing
from pathlib import Path

import trio
from trio.testing import MockClock

from trio_workflow import Runtime, open_runtime
from trio_workflow.projections import database
from trio_workflow.store.sqlite import log_checkpoint
from trio_workflow.store.sqlite.verbs import shrink
from trio_workflow.testing import deterministic

from .marks import Marks
from .setting import Setting, Site, settings
from .work import BIG, PARKED, SMALL, package

SESSIONS = 3
ACTIONS = 5
TIMEOUT = 60.0


def lower_limits() -> None:
    log_checkpoint.LOG_BYTES = 48 * 1024
    shrink.KEPT_AT_LEAST = 4
    shrink.PAGES_AT_ONCE = 20
    database.WAL_LIMIT = 24 * 1024


class Workload:
    """What one process does. Its runs have its name in their ids."""

    def __init__(self, setting: Setting, site: Site, marks: Marks, name: str) -> None:
        self._setting, self._site, self._marks, self._name = setting, site, marks, name
        self._random = random.Random(f"{setting.seed} {name}")
        self._ended: list[str] = []
        self._count = 0
        self._actions: dict[str, Callable[[Runtime], Awaitable[None]]] = {
            "small": self._small,
            "several": self._several,
            "parked": self._parked,
            "big": self._big,
            "delete": self._delete,
            "prune": self._prune,
            "read": self._read,
        }
        self._reading = ExitStack()

    async def run(self) -> None:
        with trio.fail_after(TIMEOUT):
            for number in range(SESSIONS):
                await self._session(is_killed=number == 1 and self._setting.is_killed(self._name))

    async def _session(self, *, is_killed: bool) -> None:
        config = settings(
            self._site,
            self._setting.synchronous,
            self._name,
            poll_interval=0.02 if self._setting.has_two_processes else float("inf"),
        )
        self._marks.begin("open")
        with self._reading:
            async with open_runtime(config) as rt, trio.open_nursery() as nursery:
                self._marks.done("open")
                rt.register_package(package(self._marks))
                await nursery.start(rt.start_workers)
                await self._small(rt)
                await self._big(rt)
                for action in self._random.choices(list(self._actions), k=ACTIONS):
                    await self._actions[action](rt)
                await rt.drain()
                if is_killed:
                    os.kill(os.getpid(), signal.SIGKILL)
                nursery.cancel_scope.cancel()

    def _new_id(self, shape: str) -> str:
        self._count += 1
        return f"{shape}-{self._name}-{self._count}"

    async def _start(self, rt: Runtime, shape: str) -> str:
        run_id = self._new_id(shape)
        with self._marks.operation("start", run_id):
            await rt.start_run("power", shape, run_id=run_id)
        return run_id

    async def _small(self, rt: Runtime) -> None:
        run_id = await self._start(rt, SMALL)
        await rt.wait(run_id)
        self._marks.done("end", run_id)
        self._ended.append(run_id)

    async def _several(self, rt: Runtime) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(self._small, rt)

    async def _parked(self, rt: Runtime) -> None:
        await self._cancel(rt, await self._start(rt, PARKED))

    async def _big(self, rt: Runtime) -> None:
        """A run that fills the file and goes: its space is cut off."""
        run_id = await self._start(rt, BIG)
        await self._cancel(rt, run_id)
        await self._remove(rt, run_id)

    async def _cancel(self, rt: Runtime, run_id: str) -> None:
        with self._marks.operation("end", run_id):
            await rt.cancel_run(run_id)
        self._ended.append(run_id)

    async def _delete(self, rt: Runtime) -> None:
        if self._ended:
            await self._remove(rt, self._random.choice(self._ended))

    async def _remove(self, rt: Runtime, run_id: str) -> None:
        self._ended.remove(run_id)
        with self._marks.operation("delete", run_id):
            await rt.delete_run(run_id)

    async def _prune(self, rt: Runtime) -> None:
        """Of two processes neither knows which runs of the other it would remove."""
        if self._setting.has_two_processes:
            return
        pruned, self._ended = self._ended, []
        with self._marks.operation("delete", *pruned):
            await rt.prune(0.0)

    async def _read(self, rt: Runtime) -> None:
        """A reader that is there keeps the log from being used again; the next one to come lets it go."""
        self._reading.close()
        conn = self._reading.enter_context(
            closing(sqlite3.connect(self._site.database, isolation_level=None))
        )
        conn.execute("BEGIN")
        conn.execute("SELECT count(*) FROM runs").fetchall()
        await trio.lowlevel.checkpoint()


def main() -> None:
    root, marks_path, seed, name = sys.argv[1:]
    logging.basicConfig(level=logging.WARNING)
    lower_limits()
    setting, marks = Setting(int(seed)), Marks(Path(marks_path))
    workload = Workload(setting, Site(Path(root)), marks, name)
    if not setting.has_two_processes:
        random.seed(setting.seed)
        with deterministic(setting.seed):
            trio.run(workload.run, clock=MockClock(autojump_threshold=0))
    elif name == "a":
        command = [sys.executable, "-m", "tests.powerloss.program", root, marks_path, seed, "b"]
        with subprocess.Popen(command) as other:
            trio.run(workload.run)
        if other.returncode != (-signal.SIGKILL if setting.is_killed("b") else 0):
            sys.exit(f"the second process ended with {other.returncode}")
    else:
        trio.run(workload.run)
    marks.close()


if __name__ == "__main__":
    main()
