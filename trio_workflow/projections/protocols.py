"""What a projection store promises, whoever writes it."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, runtime_checkable

Row = Sequence[Any] | Mapping[str, Any]
"""The values of one statement: by position, or by name."""


class ProjectionTransaction(Protocol):
    """Statements that take effect together. Values are given by position, or by name as one mapping."""

    async def execute(self, sql: str, /, *args: Any) -> int:
        """Run one statement and answer how many rows it changed."""
        ...

    async def query(self, sql: str, /, *args: Any) -> list[dict[str, Any]]:
        """Run one statement and answer its rows, column name to value."""
        ...

    async def execute_many(self, sql: str, rows: Iterable[Row], /) -> int:
        """Run one statement for every row, for all or for none; answer how many rows it changed."""
        ...


class Projection(Protocol):
    """One read model. Each call is a transaction of its own, and waits while another task has one."""

    async def execute(self, sql: str, /, *args: Any) -> int:
        """Run one statement and answer how many rows it changed."""
        ...

    async def query(self, sql: str, /, *args: Any) -> list[dict[str, Any]]:
        """Run one statement and answer its rows, column name to value."""
        ...

    async def execute_many(self, sql: str, rows: Iterable[Row], /) -> int:
        """Run one statement for every row, for all or for none; answer how many rows it changed."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[ProjectionTransaction]:
        """Commit what the block did when it ends, undo it when it raises or is cancelled."""
        ...


class ProjectionStore(Protocol):
    """Gives out projections by name. Several runtimes may share a store object, at once or in turn.

    One that holds files or connections has a `close`, too: see ClosableProjectionStore.
    """

    async def projection(self, name: str, /) -> Projection:
        """Answer the projection of that name, made on first use. A bad name: ValueError."""
        ...


@runtime_checkable
class ClosableProjectionStore(ProjectionStore, Protocol):
    """A projection store that a runtime closes when it closes."""

    async def close(self) -> None:
        """Let go of all files and connections, once running transactions have ended.

        A runtime calls it when it closes. A projection that is used afterwards opens again.
        """
        ...
