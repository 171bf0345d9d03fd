"""What the tests of SQLiteProjectionStore share: a store, a projection of sales, and what is in it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from trio_workflow.projections import Projection, SQLiteProjectionStore


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteProjectionStore]:
    store = SQLiteProjectionStore(tmp_path / "projections")
    yield store
    with trio.CancelScope(shield=True):
        await store.close()


@pytest.fixture
async def sales(store: SQLiteProjectionStore) -> Projection:
    sales = await store.projection("sales")
    await sales.execute("CREATE TABLE sale (id INTEGER PRIMARY KEY, amount INTEGER CHECK (amount >= 0))")
    return sales


async def amounts(sales: Projection) -> list[int]:
    return [row["amount"] for row in await sales.query("SELECT amount FROM sale ORDER BY id")]
