"""Steps and graphs that are refused: at the start nothing is stored, from an executor the step fails."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stories import define, error_of, opened, outcomes, refused, says, states
from trio.testing import MockClock

from trio_workflow import (
    GraphError,
    RunBuilder,
    StepContext,
    executor,
    optional,
    require,
)


@executor("noop")
async def noop(step: StepContext) -> None: ...


# --- steps and graphs ------------------------------------------------------------------------------------


async def test_an_entrypoint_must_make_a_step(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        message = says('workflow package "p" entrypoint produced no initial steps')
        define(rt, graph=lambda run: run.name("empty"))
        with pytest.raises(GraphError, match=message):
            await rt.start_run("p")
        assert (await rt.runs()).items == ()


BAD_OPTIONS: list[dict[str, Any]] = [
    {"queue": ""},
    {"queue": "a\nb"},
    {"queue": "x" * 256},
    {"queue": 7},
    {"dedup_key": "a\x00"},
    {"dedup_key": "x" * 256},
    {"retry": 3},
    {"timeout": 0},
    {"timeout": -1},
    {"timeout": math.nan},
    {"delay": -1},
    {"delay": math.nan},
    {"delay": "soon"},
    {"priority": 10},
    {"priority": -10},
    {"priority": 1.5},
    {"allow_failure": "yes"},
    {"metadata": {"a": 1}},
    {"metadata": {1: "a"}},
    {"metadata": {"a": "\ud800"}},
    {"package": "\n"},
    {"depends_on": 7},
    {"kind": "a\nb"},
    {"kind": "x" * 256},
]


@pytest.mark.parametrize("options", BAD_OPTIONS, ids=str)
async def test_a_bad_step_option_is_refused_naming_it(
    tmp_path: Path, autojump_clock: MockClock, options: dict[str, Any]
) -> None:
    async with opened(tmp_path) as rt:
        [option] = options
        given: Any = {"kind": "noop", **options}
        await refused(rt, lambda run: run.step("s", **given), ValueError, option)


@pytest.mark.parametrize("step_id", ["a\nb", "x" * 256, "\ud800", 7])
async def test_a_bad_step_id_is_refused(tmp_path: Path, autojump_clock: MockClock, step_id: Any) -> None:
    async with opened(tmp_path) as rt:
        await refused(rt, lambda run: run.step(step_id, kind="noop"), ValueError, "step id")


async def test_steps_need_a_kind(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("emits")
    async def emits(step: StepContext) -> None:
        for options in ({}, {"kind": ""}, {"kind": None}):
            with pytest.raises(ValueError, match=says("emitted step kind is required")):
                step.emit("child", **options)

    async with opened(tmp_path) as rt:
        message = says("workflow step kind is required")
        await refused(rt, lambda run: run.step("s"), ValueError, message)
        await refused(rt, lambda run: run.step("s", kind=""), ValueError, message)
        define(rt, emits)
        run = await rt.start_run("p")
        await rt.run_once()
        assert await outcomes(rt, run.id) == ["succeeded"]


async def test_an_unknown_step_option_is_a_type_error(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        bad: Any = {"kind": "noop", "prioritty": 3}
        await refused(rt, lambda run: run.step("s", **bad), TypeError, "prioritty")


def cycle(run: RunBuilder) -> None:
    run.step("a", kind="noop", depends_on="c")
    run.step("b", kind="noop", depends_on="a")
    run.step("c", kind="noop", depends_on=optional("b"))


def twice(run: RunBuilder) -> None:
    run.step("a", kind="noop")
    run.step("a", kind="noop")


GRAPHS: list[tuple[Callable[[RunBuilder], object], str]] = [
    (twice, '"a"'),
    (lambda run: run.step("a", kind="noop", depends_on="ghost"), '"a".*"ghost"'),
    (lambda run: run.step("a", kind="noop", depends_on=require("a")), '"a".*itself'),
    (cycle, '"a"'),
]


@pytest.mark.parametrize(("graph", "text"), GRAPHS)
async def test_what_is_no_graph_is_refused_naming_the_step(
    tmp_path: Path, autojump_clock: MockClock, graph: Callable[[RunBuilder], object], text: str
) -> None:
    async with opened(tmp_path) as rt:
        await refused(rt, graph, GraphError, text)


EMITS: list[tuple[Callable[[StepContext], object], str]] = [
    (lambda step: [step.emit("s", kind="noop")], '"s".*exists'),
    (lambda step: [step.emit("a", kind="noop"), step.emit("a", kind="noop")], '"a"'),
    (lambda step: step.emit("a", kind="noop", depends_on="ghost"), '"ghost"'),
    (lambda step: step.emit("a", kind="noop", depends_on="a"), "itself"),
    (
        lambda step: [
            step.emit("a", kind="noop", depends_on="b"),
            step.emit("b", kind="noop", depends_on="a"),
        ],
        "cycle",
    ),
]


@pytest.mark.parametrize(("emit", "text"), EMITS)
async def test_an_emitted_graph_that_is_none_fails_the_step_and_stores_nothing(
    tmp_path: Path, autojump_clock: MockClock, emit: Callable[[StepContext], object], text: str
) -> None:
    @executor("emits")
    async def emits(step: StepContext) -> int:
        step.record("made", "1", 1)
        step.artifact("a", "text/plain", b"a")
        emit(step)
        return 7

    async with opened(tmp_path) as rt:
        define(rt, emits, noop)
        run = await rt.start_run("p")
        cycle = await rt.run_once()
        code, message = await error_of(rt, run.id)
        assert (cycle.failed, code, await states(rt, run.id)) == (1, "invalid_graph", {"s": "failed"})
        assert re.search(text, message)
        result = await rt.result(run.id, "s")
        assert result is not None
        assert (result.data, result.records, result.artifacts, result.emitted_ids) == (None, (), (), ())
        assert (await rt.records("made")).items == ()
        assert result.error is not None
        assert not result.error.retryable
