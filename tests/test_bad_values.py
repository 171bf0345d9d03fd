"""What an executor may not hand in, or is not handed: values without JSON form, too large, ill-typed."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import attrs
import pytest
from stories import define, ended, error_of, opened, states
from trio.testing import MockClock

from trio_workflow import (
    QueueConfig,
    RunBuilder,
    StepContext,
    executor,
)


@executor("noop")
async def noop(step: StepContext) -> None: ...


class Color(Enum):
    RED = "red"


@attrs.frozen
class Page:
    number: int
    tags: frozenset[str]
    at: datetime
    key: UUID
    price: Decimal
    raw: bytes
    color: Color
    parent: "Page | None" = None


PAGE = Page(
    3, frozenset("ab"), datetime(2026, 1, 1, tzinfo=UTC), UUID(int=7), Decimal("1.10"), b"\x00", Color.RED
)


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def endless() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


BAD_OUTPUTS: list[tuple[str, Callable[[], Any], str]] = [
    ("nan", lambda: {"a": [1, math.nan]}, "a[1]"),
    ("infinity", lambda: [math.inf], "[0]"),
    ("a key that is no str", lambda: {"a": {1: 2}}, "a"),
    ("an object", lambda: {"a": object()}, "a"),
    ("a lone surrogate", lambda: {"a": "\ud800"}, "a"),
    ("a surrogate in a key", lambda: {"\udc00": 1}, ""),
    ("nested deeply", lambda: nested(100_000), ""),
    ("endless", endless, ""),
    ("a function", lambda: noop, ""),
    ("a generator", lambda: (n for n in range(3)), ""),
]


@pytest.mark.parametrize(("make", "where"), [b[1:] for b in BAD_OUTPUTS], ids=[b[0] for b in BAD_OUTPUTS])
@pytest.mark.parametrize("way", ["return", "result", "record", "emit", "save"])
async def test_what_has_no_json_form_fails_the_step(
    tmp_path: Path, autojump_clock: MockClock, make: Callable[[], Any], where: str, way: str
) -> None:
    @executor("bad")
    async def bad(step: StepContext) -> Any:
        value = make()
        if way == "return":
            return value
        if way == "save":
            await step.save(value)
        elif way == "record":
            step.record("c", "k", value)
        elif way == "emit":
            step.emit("child", value, kind="noop")
        else:
            step.result(value)
        return 1

    async with opened(tmp_path) as rt:
        define(rt, bad, noop)
        run = await rt.start_run("p")
        assert (await rt.run_once()).failed == 1
        error = (await ended(rt, run.id)).error
        assert error is not None
        assert (error.code, error.retryable) == ("invalid_output", False)
        assert len(error.message) < 4001
        assert where in error.message
        assert await states(rt, run.id) == {"s": "failed"}


async def test_what_is_too_large_points_to_artifacts(tmp_path: Path, autojump_clock: MockClock) -> None:
    def make(way: str) -> Callable[[StepContext], Any]:
        return {
            "result": lambda step: step.result("x" * 1001),
            "unicode": lambda step: step.result("ä" * 600),
            "record": lambda step: step.record("c", "k", "x" * 1001),
            "artifact": lambda step: step.artifact("a", "text/plain", b"x" * 1001),
            "emit": lambda step: step.emit("child", "x" * 1001, kind="noop"),
        }[way]

    ways = ["result", "unicode", "record", "artifact", "emit"]

    @executor("large")
    async def large(step: StepContext) -> None:
        make(step.id)(step)

    def start(run: RunBuilder) -> None:
        for way in ways:
            run.step(way, kind="large")

    async with opened(tmp_path, max_payload=1000, default_queue=QueueConfig(9), max_workers=9) as rt:
        define(rt, large, noop, graph=start)
        run = await rt.start_run("p")
        assert (await rt.run_once()).failed == 5
        for way in ways:
            code, message = await error_of(rt, run.id, way)
            assert (code, "artifact" in message, "1000" in message) == ("payload_too_large", True, True)


@pytest.mark.parametrize("annotation", [int, list[Page], dict[str, int], Color, UUID])
async def test_input_that_does_not_fit_its_type_fails_the_step(
    tmp_path: Path, autojump_clock: MockClock, annotation: Any
) -> None:
    @executor("typed", input_type=annotation)
    async def typed(step: StepContext, value: Any) -> None:
        raise AssertionError("never called")

    def start(run: RunBuilder) -> None:
        run.step("s", ["no such thing"], kind="typed")

    async with opened(tmp_path) as rt:
        define(rt, typed, graph=start)
        run = await rt.start_run("p")
        await rt.run_once()
        error = (await ended(rt, run.id)).error
        assert error is not None
        assert (error.code, error.retryable) == ("invalid_input", False)
