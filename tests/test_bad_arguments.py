"""Arguments of a runtime's and a context's methods that are refused, naming what is wrong."""

import math
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest
from stories import define, ended, error_of, opened, outcomes, says
from trio.testing import MockClock

from trio_workflow import (
    Config,
    ConfigError,
    DependencyError,
    OptionError,
    Package,
    Retryable,
    RunBuilder,
    Runtime,
    SQLiteStore,
    StartRun,
    StepContext,
    WorkflowError,
    executor,
    open_runtime,
    optional,
)
from trio_workflow.testing import crash, plan, run_executor, run_until_idle


@executor("noop")
async def noop(step: StepContext) -> None: ...


PACKAGE: Any = Package("p")
RUN_STATUSES = "pending, running, succeeded, failed, canceled"
STEP_STATUSES = "pending, ready, running, succeeded, failed, canceled"

REFUSED: dict[str, tuple[Callable[[Runtime, Any], Awaitable[object]], str]] = {
    "a name to start": (
        lambda rt, handle: rt.start_runs(["p"]),  # type: ignore[list-item]  # wrong on purpose
        "start_runs takes StartRun objects, not 'p'",
    ),
    "another if_exists": (
        lambda rt, handle: rt.start_run("p", if_exists="replace"),  # type: ignore[arg-type]  # wrong on purpose
        'if_exists must be "raise" or "return", not \'replace\'',
    ),
    "metadata that is no mapping": (
        lambda rt, handle: rt.start_run("p", metadata=["a"]),  # type: ignore[arg-type]  # wrong on purpose
        "run metadata must be a mapping of str to str, not ['a']",
    ),
    "a handle for a run id": (
        lambda rt, handle: rt.workflow(handle),
        "run id must be a str, not RunHandle(id='r', package='p', name='p'): pass its `id`",
    ),
    "a number for a step id": (
        lambda rt, handle: rt.step("r", 7),  # type: ignore[arg-type]  # wrong on purpose
        "step id must be a str, not 7",
    ),
    "a run status there is not": (
        lambda rt, handle: rt.runs(status="ready"),
        f"run status must be one of {RUN_STATUSES}, not 'ready'",
    ),
    "a package for its name": (
        lambda rt, handle: rt.start_run(PACKAGE),
        f"a run is started by the name of its package, not by {PACKAGE!r}",
    ),
    "a step status there is not": (
        lambda rt, handle: rt.steps("r", status="done"),
        f"step status must be one of {STEP_STATUSES}, not 'done'",
    ),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED)
async def test_an_argument_of_a_runtime_is_refused_naming_it(
    tmp_path: Path, autojump_clock: MockClock, call: Callable[..., Any], message: str
) -> None:
    async with opened(tmp_path) as rt:
        define(rt, noop)
        handle = await rt.start_run("p", run_id="r")
        with pytest.raises((OptionError, ConfigError), match=says(message)):
            await call(rt, handle)
        assert [run.id for run in await rt.runs()] == ["r"]


async def test_the_good_ones_of_many_starts_are_not_stored_without_the_bad(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path) as rt:
        define(rt, noop)
        with pytest.raises(OptionError):
            await rt.start_runs([StartRun("p"), "p"])  # type: ignore[list-item]  # wrong on purpose
        assert (await rt.runs()).items == ()
        assert await rt.start_runs([]) == []


@pytest.mark.parametrize("older_than", ["x", None, -1, math.nan, True, 2j])
async def test_prune_takes_a_number_of_seconds(
    tmp_path: Path, autojump_clock: MockClock, older_than: Any
) -> None:
    message = f"prune older_than must be a number of seconds >= 0, not {older_than!r}"
    async with opened(tmp_path) as rt:
        with pytest.raises(OptionError, match=says(message)):
            await rt.prune(older_than)


async def test_a_runtime_is_opened_with_a_config_and_made_by_nothing_else(tmp_path: Path) -> None:
    store, wrong = SQLiteStore(tmp_path / "engine.db"), cast("Any", Runtime)
    with pytest.raises(ConfigError, match=says(f"open_runtime takes a Config, not {store!r}")):
        async with open_runtime(cast("Any", store)):
            raise AssertionError("there is no runtime")
    message = "a Runtime is made by `async with open_runtime(config)`, and by nothing else"
    with pytest.raises(ConfigError, match=says(message)):
        wrong(Config(store=store))


def test_plan_takes_a_package() -> None:
    with pytest.raises(ConfigError, match=says(f"plan takes a Package, not {says!r}")):
        plan(cast("Any", says))


@pytest.mark.parametrize(
    ("progress", "message"),
    [
        (("1",), "progress done must be a number, not '1'"),
        ((True,), "progress done must be a number, not True"),
        ((1, "2"), "progress total must be a number, not '2'"),
        ((1, math.nan), "progress cannot be stored: at $.total"),
    ],
)
async def test_progress_is_told_in_numbers(progress: Any, message: str) -> None:
    @executor("k")
    async def tells(step: StepContext) -> None:
        step.progress(*progress)

    outcome = await run_executor(tells)
    assert outcome.error is not None
    assert message in outcome.error.message


BAD_FOR_AN_EXECUTOR: dict[str, tuple[dict[str, Any], str]] = {
    "a time without a zone": (
        {"now": datetime(2026, 1, 1)},
        "now must be a datetime with a time zone, not datetime.datetime(2026, 1, 1, 0, 0)",
    ),
    "a number for a time": ({"now": 0}, "now must be a datetime with a time zone, not 0"),
    "a list of dependencies": (
        {"dependencies": ["a"]},
        "dependencies must be a mapping of step ids to data, not ['a']",
    ),
    "an empty text of dependencies": (
        {"dependencies": ""},
        "dependencies must be a mapping of step ids to data, not ''",
    ),
    "a text for an attempt": ({"attempt": "1"}, "attempt must be a whole number >= 1, not '1'"),
}


@pytest.mark.parametrize(("wrong", "message"), BAD_FOR_AN_EXECUTOR.values(), ids=[*BAD_FOR_AN_EXECUTOR])
async def test_an_argument_of_run_executor_is_refused_naming_it(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=says(message)):
        await run_executor(noop, **wrong)


@pytest.mark.parametrize("delay", [-1, math.nan, math.inf, True, "1"])
def test_a_delay_is_a_number_of_seconds(delay: Any) -> None:
    message = f"Retryable delay must be a finite number of seconds >= 0, not {delay!r}"
    with pytest.raises(OptionError, match=says(message)):
        Retryable("busy", delay=delay)


@pytest.mark.parametrize("poll_interval", [0, -1, math.nan, True, "1"])
async def test_workers_poll_at_a_number_of_seconds(
    tmp_path: Path, autojump_clock: MockClock, poll_interval: Any
) -> None:
    message = f"start_workers poll_interval must be a number of seconds > 0, not {poll_interval!r}"
    async with opened(tmp_path) as rt:
        with pytest.raises(ConfigError, match=says(message)):
            await rt.start_workers(poll_interval=poll_interval)


@pytest.mark.parametrize("poll_interval", [0.5, 3, math.inf])
async def test_workers_take_a_poll_interval_of_their_own(
    tmp_path: Path, autojump_clock: MockClock, poll_interval: float
) -> None:
    async with opened(tmp_path) as rt:
        define(rt, noop)
        run = await rt.start_run("p")
        await rt.start_workers(poll_interval=poll_interval, max_cycles=1)
        assert await outcomes(rt, run.id) == ["succeeded"]


async def test_data_of_a_step_that_has_not_succeeded_is_refused(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("fail")
    async def fail(step: StepContext) -> None:
        raise RuntimeError("broken")

    @executor("look")
    async def look(step: StepContext) -> None:
        with pytest.raises(OptionError, match=says("step id must be a str, not 7")):
            await step.dependency_result(7)  # type: ignore[arg-type]  # wrong on purpose
        message = "dependency data of bad is missing: the step has not succeeded"
        with pytest.raises(DependencyError, match=says(message)):
            await step.dependency_data("bad")

    def graph(run: RunBuilder) -> None:
        run.step("look", kind="look", depends_on=optional(run.step("bad", kind="fail")))

    async with opened(tmp_path) as rt:
        define(rt, fail, look, graph=graph)
        run = await rt.start_run("p", run_id="r")
        await run_until_idle(rt)
        assert await outcomes(rt, run.id, "look") == ["succeeded"]
        result = await ended(rt, run.id, "bad")
        with pytest.raises(WorkflowError, match=says("step bad of run r has not succeeded: it has no data")):
            result.value(int)


async def forgets_to_await(step: StepContext) -> object:
    return step.save(7)


def forgets_the_event_loop(step: StepContext) -> object:
    return step.save(7)


@pytest.mark.parametrize("forgetful", [forgets_to_await, forgets_the_event_loop])
async def test_a_coroutine_that_nobody_awaits_is_no_result(
    tmp_path: Path, autojump_clock: MockClock, forgetful: Callable[[StepContext], object]
) -> None:
    async with opened(tmp_path) as rt:
        define(rt, executor("forgetful")(forgetful))
        run = await rt.start_run("p")
        await rt.run_once()
        code, message = await error_of(rt, run.id)
        assert (code, "a coroutine that nobody awaited" in message) == ("invalid_output", True)


async def test_an_executor_alone_is_told_which_store_it_lacks(autojump_clock: MockClock) -> None:
    @executor("work")
    async def work(step: StepContext) -> None:
        with pytest.raises(ConfigError, match=says("artifact store is not configured")):
            await step.store_artifact("a.txt", "text/plain", b"a")
        with pytest.raises(ConfigError, match=says("projection store is not configured")):
            await step.projection("pages")

    assert (await run_executor(work)).status == "succeeded"


async def test_what_is_no_runtime_is_refused_by_the_helpers_of_tests() -> None:
    nothing: Any = None
    with pytest.raises(ConfigError, match="takes a Runtime, such as open_test_runtime gives, not None"):
        crash(nothing)
    with pytest.raises(ConfigError, match="takes a Runtime, such as open_test_runtime gives, not None"):
        await run_until_idle(nothing)
