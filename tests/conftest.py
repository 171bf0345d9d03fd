"""The bench: a store in virtual time. A test that asks for it runs under a MockClock, every call inline."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from crawler_kit import EXAMPLES
from store_kit import Bench, open_bench
from trio.testing import MockClock

# The examples are programs, found through the path.
sys.path.insert(0, str(EXAMPLES))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A store on a file of its own."""
    async with open_bench(tmp_path / "engine.db") as bench:
        yield bench


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "bench" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.trio(run=_run_in_virtual_time))


def _run_in_virtual_time(*args: Any, clock: trio.abc.Clock | None = None, **options: Any) -> Any:
    return trio.run(*args, clock=clock or MockClock(), **options)
