"""SQLiteProjectionStore: a folder with one SQLite file per projection."""

import os
import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import trio

from trio_workflow.errors import ConfigError, WorkflowError
from trio_workflow.filenames import safe_name
from trio_workflow.model.payload import require_name
from trio_workflow.offload import NoThreadError, Offload
from trio_workflow.projections import statements
from trio_workflow.projections.database import Database
from trio_workflow.projections.protocols import Row
from trio_workflow.single_run import SingleRun
from trio_workflow.sqlite.error_codes import is_busy

T = TypeVar("T")

_THREADS = 16
_BUSY_TIMEOUT = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.001, 0.05


class SQLiteProjectionStore:
    """Keeps projections as SQLite files in the folder root, each made on first use.

    busy_timeout: seconds a call waits for a writer of another process before SQLite's "database is locked".
    Several processes may use one root at once. Raises ConfigError for an empty root.
    """

    def __init__(self, root: str | os.PathLike[str], *, busy_timeout: float = _BUSY_TIMEOUT) -> None:
        if not root or not os.fspath(root).strip():
            raise ConfigError("projection store root is required")
        if not 0 <= busy_timeout <= 3600:
            raise ConfigError(f"projection store busy_timeout is 0 to 3600 seconds, not {busy_timeout!r}")
        self._root = Path(os.path.realpath(root))  # a link may lead elsewhere later
        self._calls = _Calls(busy_timeout, SingleRun(self))
        self._projections: dict[str, SQLiteProjection] = {}

    def __repr__(self) -> str:
        return f"SQLiteProjectionStore({str(self._root)!r})"

    async def projection(self, name: str, /) -> "SQLiteProjection":
        """Answer the projection of that name, the same object every time. A bad name: OptionError."""
        self._calls.trio_run.check()
        name = require_name("projection name", name)
        found = self._projections.get(name)
        if found is None:
            database = Database(self._root / f"{safe_name(name)}.db")
            found = self._projections[name] = SQLiteProjection(name, database, self._calls)
        await found.open()
        return found

    @trio.lowlevel.enable_ki_protection
    async def close(self) -> None:
        """Close every file, each once its running transaction has ended. Shield it when it must happen.

        A store that another trio run uses is left alone. A projection that is used afterwards opens its file
        again.
        """
        await trio.lowlevel.checkpoint()
        if self._calls.trio_run.is_elsewhere:
            return  # what is open is that run's
        for projection in list(self._projections.values()):
            await projection.close()
        self._calls.trio_run.release()


class _Calls:
    """Calls to databases, away from the event loop."""

    def __init__(self, busy_timeout: float, trio_run: SingleRun) -> None:
        self._busy_timeout, self.trio_run = busy_timeout, trio_run
        self._offload = Offload(trio.CapacityLimiter(_THREADS))

    async def run(self, call: Callable[[], T]) -> T:
        """Run a call; while no thread can be started for it, it is made again until busy_timeout is over."""
        give_up_at = trio.current_time() + self._busy_timeout
        while True:
            try:
                return await self._offload.run(call)
            except NoThreadError:
                if trio.current_time() >= give_up_at:
                    raise
            await trio.sleep(_LONGEST_PAUSE)

    async def run_cleanup(self, call: Callable[[], None]) -> None:
        await self._offload.run_cleanup(call)

    async def run_patiently(self, call: Callable[[], T]) -> T:
        """Run a call that may meet another connection's lock; made again until busy_timeout is over.

        The pauses are the event loop's, and not SQLite's: whoever waits can be cancelled, and in virtual
        time, when calls run on the event loop, the holder of the lock may need it to go on.
        """
        give_up_at, pause = trio.current_time() + self._busy_timeout, _FIRST_PAUSE
        while True:
            try:
                return await self.run(call)
            except sqlite3.OperationalError as error:
                if not is_busy(error) or trio.current_time() >= give_up_at:
                    raise
            await trio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


# Methods that take a lock are protected. An interrupt between two lines of theirs would leave it locked for
# ever, and the store waits for it when it closes.


class SQLiteProjection:
    """One SQLite file. Calls take turns; each is a transaction of its own, and errors are SQLite's."""

    def __init__(self, name: str, database: Database, calls: _Calls) -> None:
        self.name = name
        self._database = database
        self._calls = calls
        # Who holds it may use the connection. Held over a whole transaction().
        self._turn = trio.Lock()

    def __repr__(self) -> str:
        return f"SQLiteProjection({self.name!r}, {str(self._database.path)!r})"

    async def execute(self, sql: str, /, *args: Any) -> int:
        """Run one statement and answer how many rows it changed. One mapping gives values by name."""
        return await self._alone(statements.execute, sql, args)

    async def query(self, sql: str, /, *args: Any) -> list[dict[str, Any]]:
        """Run one statement and answer its rows. One mapping gives values by name."""
        return await self._alone(statements.query, sql, args)

    async def execute_many(self, sql: str, rows: Iterable[Row], /) -> int:
        """Run one statement for every row, for all or for none; answer how many rows it changed."""
        return await self._alone(statements.execute_many, sql, list(rows))

    @asynccontextmanager
    @trio.lowlevel.enable_ki_protection
    async def transaction(self) -> AsyncGenerator["SQLiteTransaction", None]:
        """Commit what the block did when it ends, undo it when it raises or is cancelled. Others wait.

        Raises WorkflowError at the end of the block when its SQL or an error had ended the transaction.
        """
        self._refuse_own_transaction()
        async with self._turn:
            tx = SQLiteTransaction(self._database, self._calls)
            try:
                await self._calls.run_patiently(self._database.begin)
                yield tx
                await tx.finish(self._database.commit)
            except BaseException:
                with trio.CancelScope(shield=True):
                    await tx.undo(self._database.rollback)
                raise

    @trio.lowlevel.enable_ki_protection
    async def open(self) -> None:
        """Make the file if it is missing, and the connection."""
        if self._database.is_open:
            # Also while this task has a transaction, when waiting for a turn would be for ever.
            await trio.lowlevel.checkpoint()
            return
        async with self._turn:
            await self._calls.run_patiently(self._database.open)

    @trio.lowlevel.enable_ki_protection
    async def close(self) -> None:
        """Let go of the file, once the running transaction has ended."""
        self._refuse_own_transaction()
        async with self._turn:
            await self._calls.run_cleanup(self._database.close)

    @trio.lowlevel.enable_ki_protection
    async def _alone(self, statement: Callable[..., T], sql: str, values: Sequence[Any]) -> T:
        self._refuse_own_transaction()
        async with self._turn:
            return await self._calls.run_patiently(partial(self._database.alone, statement, sql, values))

    def _refuse_own_transaction(self) -> None:
        """Between two calls a task holds the turn only in a transaction; waiting for itself it would hang."""
        self._calls.trio_run.check()
        if self._turn.statistics().owner is trio.lowlevel.current_task():
            raise WorkflowError(
                f"this task is in a transaction of projection {self.name!r}: call the `tx` of its block"
            )


class SQLiteTransaction:
    """The statements of one transaction() block. Tasks of the block may share it; their calls take turns."""

    def __init__(self, database: Database, calls: _Calls) -> None:
        self._database = database
        self._calls = calls
        self._turn = trio.Lock()
        self._is_over = False

    async def execute(self, sql: str, /, *args: Any) -> int:
        """Run one statement and answer how many rows it changed. One mapping gives values by name."""
        return await self._inside(statements.execute, sql, args)

    async def query(self, sql: str, /, *args: Any) -> list[dict[str, Any]]:
        """Run one statement and answer its rows. One mapping gives values by name."""
        return await self._inside(statements.query, sql, args)

    async def execute_many(self, sql: str, rows: Iterable[Row], /) -> int:
        """Run one statement for every row, for all or for none; answer how many rows it changed."""
        return await self._inside(statements.execute_many, sql, list(rows))

    @trio.lowlevel.enable_ki_protection
    async def finish(self, commit: Callable[[], None]) -> None:
        """Commit, after the calls that are running; what is called later raises."""
        self._is_over = True
        async with self._turn:
            await self._calls.run(commit)

    @trio.lowlevel.enable_ki_protection
    async def undo(self, rollback: Callable[[], None]) -> None:
        """Roll back, after the calls that are running, also where no thread is left for it."""
        self._is_over = True
        async with self._turn:
            await self._calls.run_cleanup(rollback)

    @trio.lowlevel.enable_ki_protection
    async def _inside(self, statement: Callable[..., T], sql: str, values: Sequence[Any]) -> T:
        async with self._turn:
            if self._is_over:
                raise WorkflowError("a projection's transaction was used after its block")
            return await self._calls.run(partial(self._database.inside, statement, sql, values))
