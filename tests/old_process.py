"""A process with the store of schema version 1, for tests of a file that is migrated under it.

Usage: old_process.py FILE [poll=SECONDS]
It says "open" when its workers have started, and "start" for each step. A line on standard input starts a run
of that id; the end of standard input ends the process. It then says "ended", or "crashed" and why.

The store is that of version 1 (store_version_1/). It has learned one thing: each of its transactions checks
the version of the schema under the write lock, as every later version does. All else is the package of today.
What the package asks of its store beyond version 1 is added here: that store has nothing to remove.
"""

import importlib.util
import math
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

STORE = "trio_workflow.store"
FOLDER = Path(__file__).with_name("store_version_1")


class OldStore(MetaPathFinder):
    """Finds the modules of the store in the folder of version 1."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != STORE and not name.startswith(f"{STORE}."):
            return None
        _add_to_package()
        place = FOLDER.joinpath(*name.removeprefix(STORE).split(".")[1:])
        if place.is_dir():
            return importlib.util.spec_from_file_location(
                name, place / "__init__.py", submodule_search_locations=[str(place)]
            )
        return importlib.util.spec_from_file_location(name, place.with_suffix(".py"))


def _add_to_package() -> None:
    """Names that version 1 imports and the package no longer has."""
    from trio_workflow import errors

    if not hasattr(errors, "RunInTrashError"):
        name = "RunInTrashError"
        setattr(errors, name, type(name, (errors.RunExistsError,), {}))


def _add_to_store() -> None:
    """Operations that the package asks for and version 1 does not have."""
    from trio_workflow.model.removal import PendingRemovals
    from trio_workflow.store.sqlite.reads import SQLiteReads
    from trio_workflow.store.sqlite.store import OpenSQLiteStore

    async def pending_removals(self: object) -> PendingRemovals:
        await trio.lowlevel.checkpoint()
        return PendingRemovals(has_rows=False, next_try_at=None)

    async def nothing(self: object, *args: object) -> tuple[()]:
        await trio.lowlevel.checkpoint()
        return ()

    _add(SQLiteReads, "pending_removals", pending_removals)
    for name in ("release_artifacts", "purge", "removals", "failed_removals", "settle_removals"):
        _add(OpenSQLiteStore, name, nothing)


def _add(owner: type, name: str, function: Any) -> None:
    setattr(owner, name, function)


sys.meta_path.insert(0, OldStore())

import trio  # noqa: E402 - the store is found by the hook above

from trio_workflow import (  # noqa: E402 - after the hook too
    Config,
    Package,
    RunBuilder,
    RuntimeCrashedError,
    SQLiteStore,
    StepContext,
    open_runtime,
)

package = Package("old")


def say(*words: object) -> None:
    print(*words, flush=True)


@package.entrypoint
def start(run: RunBuilder) -> None:
    run.step("s", kind="work")


@package.executor("work")
async def work(step: StepContext) -> None:
    say("start", step.run_id, step.attempt)


async def main(file: str, poll: float) -> None:
    _add_to_store()
    config = Config(store=SQLiteStore(file), poll_interval=poll, worker_id="old", lease_duration=3.0)
    async with open_runtime(config) as rt, trio.open_nursery() as nursery:
        rt.register_package(package)
        await nursery.start(rt.start_workers)
        say("open")
        text = b""
        async for chunk in trio.lowlevel.FdStream(sys.stdin.fileno()):
            *lines, text = (text + chunk).split(b"\n")
            for line in lines:
                await rt.start_run("old", run_id=line.decode())
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    options = dict(word.split("=") for word in sys.argv[2:])
    try:
        trio.run(main, sys.argv[1], float(options.get("poll", math.inf)))
        say("ended")
    except* RuntimeCrashedError as group:
        with suppress(BrokenPipeError):
            for error in group.exceptions:
                say("crashed", error)
                say("caused by", type(error.__cause__).__name__, error.__cause__)
