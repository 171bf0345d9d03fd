"""SQLiteStore: what a user writes to name a database file."""

import os
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import attrs
import trio

from trio_workflow.clock import Clock
from trio_workflow.errors import ConfigError
from trio_workflow.store.protocol import Store
from trio_workflow.store.sqlite.store import open_store


def _check_path(path: str | os.PathLike[str]) -> str:
    text = os.fspath(path)
    if not text:
        raise ConfigError("sqlite workflow store path is required")
    if "\0" in text:
        raise ConfigError(f"sqlite workflow store path must not hold a NUL character: {text!r}")
    if text == ":memory:" or text.startswith("file:"):
        raise ConfigError(
            f"sqlite workflow store path must be a file, not {text!r}: an in-memory database has no "
            "write-ahead log and dies with its process; tests have trio_workflow.testing.open_test_runtime"
        )
    return os.path.abspath(text)


def _check_synchronous(instance: object, attribute: "attrs.Attribute[str]", value: str) -> None:
    if value not in ("FULL", "NORMAL", "OFF"):
        raise ConfigError(f'SQLiteStore.synchronous must be "FULL", "NORMAL" or "OFF", not {value!r}')


def _check_create(instance: object, attribute: "attrs.Attribute[bool]", value: object) -> None:
    if not isinstance(value, bool):
        raise ConfigError(f"SQLiteStore.create must be True or False, not {value!r}")


@attrs.frozen
class SQLiteStore:
    """A store in one SQLite file; its folder is created.

    synchronous: "FULL": a committed step survives power loss; "NORMAL": it survives a crash of the process,
    and the last few may be lost with the power; "OFF": for tests.
    create: whether a missing file is made. With False nothing is made, and opening raises StoreError.
    Raises ConfigError for a path that is empty or in memory.
    """

    path: str = attrs.field(converter=_check_path)
    synchronous: str = attrs.field(default="FULL", kw_only=True, validator=_check_synchronous)
    create: bool = attrs.field(default=True, kw_only=True, validator=_check_create)

    def open(self, clock: Clock) -> AbstractAsyncContextManager[Store]:
        """Open, and create if it is not there. Raises StoreError for a file that is not fit."""
        return self._open(clock)

    @asynccontextmanager
    @trio.lowlevel.enable_ki_protection
    async def _open(self, clock: Clock) -> AsyncGenerator[Store]:
        store = await open_store(self.path, self.synchronous, clock, create=self.create)
        try:
            yield store
        finally:
            await store.aclose()
