"""What people search for: the quoted messages, and the refusals that name what is wrong and store nothing."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import attrs
import pytest
from stories import config, define, one_step, opened, outcomes, refused, says, states
from trio.testing import MockClock

from trio_workflow import (
    Config,
    ConfigError,
    DependencyError,
    Executor,
    InputError,
    Package,
    PackageNotFoundError,
    QueueConfig,
    RateLimit,
    RetryPolicy,
    RunBuilder,
    RunExistsError,
    RunNotFoundError,
    RunStateError,
    SQLiteStore,
    StepContext,
    StepNotFoundError,
    StepStateError,
    WorkflowError,
    executor,
)


@executor("noop")
async def noop(step: StepContext) -> None: ...


# --- settings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{}, {"store": None}])
def test_a_store_is_required(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=says("workflow runtime store is required")):
        Config(**settings)


def test_a_sqlite_store_needs_a_path() -> None:
    with pytest.raises(ConfigError, match=says("sqlite workflow store path is required")):
        SQLiteStore("")


def test_a_database_in_memory_is_refused_with_a_pointer_to_the_test_runtime() -> None:
    with pytest.raises(ConfigError, match="open_test_runtime"):
        SQLiteStore(":memory:")


def test_synchronous_is_one_of_three() -> None:
    with pytest.raises(ConfigError, match=r"synchronous.*'SOMETIMES'"):
        SQLiteStore("x.db", synchronous="SOMETIMES")


BAD: list[tuple[str, list[Any]]] = [
    ("store", ["x.db", 7]),
    ("artifact_store", ["var", object()]),
    ("projection_store", ["var", 3]),
    ("worker_id", ["", "a\nb", "x" * 256, 7, None]),
    ("max_workers", [0, -1, 1.5, True, "4", None, math.nan]),
    ("poll_interval", [0, -0.1, math.nan, "1", None, True]),
    ("lease_duration", [0, -1, math.inf, math.nan, "30", None]),
    ("queues", [None, ["q"], {"q": 4}, {"": QueueConfig()}, {7: QueueConfig()}, {"a\x00": QueueConfig()}]),
    ("default_queue", [None, 4]),
    ("default_retry", [None, 3]),
    ("max_lost_leases", [0, -1, 1.0, None]),
    ("shutdown_grace", [-1, math.nan, None, "5"]),
    ("max_payload", [0, -1, 1.5, None]),
    ("keep_finished", [-1, math.nan, math.inf, "7"]),
]


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in BAD for value in values])
def test_a_bad_setting_is_refused_naming_the_field_and_the_value(field: str, value: Any) -> None:
    shown = next(iter(value.values())) if isinstance(value, dict) and "q" in value else value
    shown = next(iter(value)) if isinstance(value, dict) and "q" not in value else shown
    shown = "256" if isinstance(value, str) and len(value) == 256 else shown  # by its length
    with pytest.raises(ConfigError, match=field) as caught:
        Config(**{"store": SQLiteStore("x.db"), field: value})
    assert str(shown if shown == "256" else repr(shown)) in str(caught.value)


def test_every_setting_has_a_bad_value_in_the_test_above() -> None:
    assert (
        {field for field, _ in BAD} == set(get_type_hints(Config)) == {f.name for f in attrs.fields(Config)}
    )


@pytest.mark.parametrize("poll_interval", [0.001, 3, math.inf])
def test_a_poll_interval_may_be_infinite(poll_interval: float) -> None:
    assert Config(store=SQLiteStore("x.db"), poll_interval=poll_interval).poll_interval == poll_interval


def test_the_defaults_are_those_of_the_page() -> None:
    given = Config(store=SQLiteStore("x.db"))
    assert (given.worker_id, given.max_workers, given.poll_interval) == ("workflow-runtime", 1, 0.25)
    assert (given.lease_duration, dict(given.queues), given.default_queue) == (30.0, {}, QueueConfig())
    assert (given.default_retry, given.max_lost_leases, given.shutdown_grace) == (RetryPolicy(), 3, 0.0)
    assert (given.max_payload, given.keep_finished) == (16 * 1024**2, None)
    assert (given.artifact_store, given.projection_store) == (None, None)
    assert QueueConfig() == QueueConfig(max_workers=1, rate_limit=None)
    assert RateLimit(5) == RateLimit(rate_per_second=5, burst=1)
    assert RetryPolicy() == RetryPolicy(
        max_attempts=3,
        backoff="exponential",
        initial_backoff=1.0,
        max_backoff=60.0,
        multiplier=2.0,
        jitter=0.0,
    )


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (QueueConfig, "max_workers", -1),
        (QueueConfig, "max_workers", 1.0),
        (QueueConfig, "rate_limit", 5),
        (RateLimit, "rate_per_second", 0),
        (RateLimit, "rate_per_second", math.inf),
        (RateLimit, "rate_per_second", 1e-13),
        (RateLimit, "burst", 0),
        (RateLimit, "burst", 2_000_000_000),
        (RetryPolicy, "max_attempts", 0),
        (RetryPolicy, "backoff", "random"),
        (RetryPolicy, "initial_backoff", -1),
        (RetryPolicy, "max_backoff", math.nan),
        (RetryPolicy, "multiplier", 0),
        (RetryPolicy, "jitter", 1.5),
    ],
)
def test_a_bad_policy_is_refused_naming_the_field_and_the_value(
    kind: Callable[..., object], field: str, value: Any
) -> None:
    given = {"rate_per_second": 1, field: value} if kind is RateLimit else {field: value}
    with pytest.raises(ConfigError, match=rf"{field}.*{re.escape(repr(value))}"):
        kind(**given)


# --- registration ----------------------------------------------------------------------------------------


async def test_registration_says_what_is_wrong(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        with pytest.raises(ConfigError, match=says("workflow package name is required")):
            rt.register_package(Package("", entrypoint=one_step("noop")))
        with pytest.raises(ConfigError, match=says('workflow package "p" entrypoint is required')):
            rt.register_package(Package("p"))
        define(rt, noop)
        with pytest.raises(ConfigError, match=says('workflow package "p" is already registered')):
            rt.register_package(Package("p", entrypoint=one_step("noop")))
        with pytest.raises(ConfigError, match=says('executor kind "noop" is already registered')):
            rt.register_executor(noop)
        for bad in ("a\nb", "x" * 256, "\ud800"):
            with pytest.raises(ConfigError, match="package name"):
                rt.register_package(Package(bad, entrypoint=one_step("noop")))


async def test_a_package_whose_executor_is_taken_is_not_registered_in_part(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def plain(step: StepContext) -> None: ...

    package = Package("q", entrypoint=one_step("new"))
    package.executor("new")(plain)
    package.executor("noop")(plain)
    async with opened(tmp_path) as rt:
        rt.register_executor(noop)
        with pytest.raises(ConfigError, match=says('executor kind "noop" is already registered')):
            rt.register_package(package)
        with pytest.raises(PackageNotFoundError, match=says('workflow package "q" is not registered')):
            await rt.start_run("q")
        rt.register_executor(executor("new")(plain))


async def test_an_input_type_that_cannot_be_structured_is_refused_at_registration(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async def reads(step: StepContext, value: Callable[[], int]) -> None: ...

    def starts(run: RunBuilder, value: Callable[[], int]) -> None: ...

    async with opened(tmp_path) as rt:
        with pytest.raises(ConfigError, match="reads"):
            rt.register_executor(executor("reads")(reads))
        with pytest.raises(ConfigError, match='"starts"'):
            rt.register_package(Package("starts", entrypoint=starts))


@pytest.mark.parametrize("kind", ["", "a\tb", "x" * 256, "\ud800", 7])
def test_a_bad_kind_is_refused_where_it_is_written(kind: Any) -> None:
    with pytest.raises(ValueError, match="executor kind"):
        executor(kind)(noop)


# --- runs ------------------------------------------------------------------------------------------------


async def test_starting_an_unknown_package_says_so(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        with pytest.raises(PackageNotFoundError, match=says('workflow package "x" is not registered')):
            await rt.start_run("x")


@pytest.mark.parametrize("run_id", ["", "a\nb", "x" * 256, "\ud800", 7])
async def test_a_bad_run_id_is_refused(tmp_path: Path, autojump_clock: MockClock, run_id: Any) -> None:
    async with opened(tmp_path) as rt:
        define(rt, noop)
        with pytest.raises(ValueError, match="run id"):
            await rt.start_run("p", run_id=run_id)
        assert (await rt.runs()).items == ()


async def test_a_taken_run_id_is_refused(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        define(rt, noop)
        await rt.start_run("p", run_id="r")
        with pytest.raises(RunExistsError, match='"r"'):
            await rt.start_run("p", run_id="r")


@pytest.mark.parametrize(
    "bad",
    [object(), math.nan, {1: 2}, "\ud800", {"a": [math.inf]}, "x" * 2000],
    ids=["an object", "nan", "a number as key", "a surrogate", "infinity inside", "too large"],
)
async def test_an_input_that_cannot_be_stored_is_refused_naming_where(
    tmp_path: Path, autojump_clock: MockClock, bad: Any
) -> None:
    async with opened(tmp_path, max_payload=1000) as rt:
        define(rt, noop)
        with pytest.raises(InputError, match='the input of workflow package "p"'):
            await rt.start_run("p", bad, run_id="r")
        assert (await rt.runs()).items == ()
        await refused(rt, lambda run: run.step("s", bad, kind="noop"), InputError, 'the input of step "s"')


async def test_an_input_that_does_not_fit_is_refused_with_its_path(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    def start(run: RunBuilder, pages: list[int]) -> None:
        run.step("s", kind="noop")

    async with opened(tmp_path) as rt:
        define(rt, graph=start)
        with pytest.raises(InputError, match=r'workflow package "p".*list\[int\].*\[1\]'):
            await rt.start_run("p", [1, "2"], run_id="r")
        assert (await rt.runs()).items == ()


async def test_an_error_of_the_entrypoint_comes_out_and_nothing_is_stored(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    def start(run: RunBuilder) -> None:
        run.step("s", kind="noop")
        raise LookupError("no such book")

    async with opened(tmp_path) as rt:
        await refused(rt, start, LookupError, "^'?no such book'?$")


async def test_what_is_not_there_is_named(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        define(rt, noop)
        run = await rt.start_run("p", run_id="r")
        asked: list[Callable[[], Any]] = [
            lambda: rt.wait("ghost"),
            lambda: rt.cancel_run("ghost"),
            lambda: rt.retry_run("ghost"),
            lambda: rt.retry_step("ghost", "s"),
            lambda: rt.delete_run("ghost"),
        ]
        for ask in asked:
            with pytest.raises(RunNotFoundError, match="ghost"):
                await ask()
        with pytest.raises(StepNotFoundError, match="ghost"):
            await rt.retry_step(run.id, "ghost")
        assert (await rt.workflow("ghost"), await rt.step("ghost", "s")) == (None, None)
        assert (await rt.step("r", "ghost"), await rt.result("r", "ghost")) == (None, None)
        assert await rt.result("r", "s") is None  # no attempt has ended


async def test_states_that_forbid_an_action_are_named(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        define(rt, noop)
        run = await rt.start_run("p")
        with pytest.raises(StepStateError, match="ready"):
            await rt.retry_step(run.id, "s")
        with pytest.raises(RunStateError, match="pending"):
            await rt.delete_run(run.id)
        await rt.cancel_run(run.id)
        with pytest.raises(RunStateError, match="canceled"):
            await rt.retry_step(run.id, "s")
        with pytest.raises(RunStateError, match="canceled"):
            await rt.retry_run(run.id)


# --- what executors meet ---------------------------------------------------------------------------------


async def test_stores_that_are_not_configured_are_named(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("work")
    async def work(step: StepContext) -> None:
        with pytest.raises(ConfigError, match=says("artifact store is not configured")):
            await step.store_artifact("a.txt", "text/plain", b"a")
        with pytest.raises(ConfigError, match=says("projection store is not configured")):
            await step.projection("pages")

    async with opened(tmp_path) as rt:
        define(rt, work)
        with pytest.raises(ConfigError, match=says("projection store is not configured")):
            await rt.projection("pages")
        run = await rt.start_run("p")
        await rt.run_once()
        assert await outcomes(rt, run.id) == ["succeeded"]


async def test_dependency_data_that_is_missing_or_does_not_fit_is_named(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("first")
    async def first(step: StepContext) -> list[dict[str, object]]:
        return [{"page": 1}, {"page": "two"}]

    @executor("second")
    async def second(step: StepContext) -> None:
        with pytest.raises(DependencyError, match=says("dependency result ghost not found")):
            await step.dependency_result("ghost")
        with pytest.raises(DependencyError, match=says("dependency result later not found")):
            await step.dependency_data("later", int)
        shape = r"^dependency data of a does not fit list\[dict\[str, int\]\]: .*\[1\].*page"
        with pytest.raises(DependencyError, match=shape):
            await step.dependency_data("a", list[dict[str, int]])

    def graph(run: RunBuilder) -> None:
        a = run.step("a", kind="first")
        b = run.step("b", kind="second", depends_on=a)
        run.step("later", kind="first", depends_on=b)

    async with opened(tmp_path, max_workers=3, default_queue=QueueConfig(3)) as rt:
        define(rt, first, second, graph=graph)
        run = await rt.start_run("p")
        await rt.run_once()
        assert set((await states(rt, run.id)).values()) == {"succeeded"}


def test_every_error_is_a_workflow_error() -> None:
    import trio_workflow

    for name in trio_workflow.__all__:
        found = getattr(trio_workflow, name)
        if isinstance(found, type) and issubclass(found, BaseException):
            assert issubclass(found, WorkflowError), name


def test_configs_and_executors_show_what_they_are(tmp_path: Path) -> None:
    assert "max_workers=1" in repr(config(tmp_path))
    assert isinstance(noop, Executor)
    assert repr(noop) == "<Executor 'noop' noop>"
