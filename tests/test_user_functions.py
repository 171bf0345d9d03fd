"""The functions users hand in: their signatures, the types of their inputs, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
from stories import define, ended, opened, says
from trio.testing import MockClock

from trio_workflow import ConfigError, Executor, Package, RunBuilder, StepContext, executor
from trio_workflow.testing import run_until_idle


@attrs.frozen
class Chapter:
    number: int


@executor("module")
async def of_the_module(step: StepContext, chapter: "Chapter") -> int:
    return chapter.number


@executor("later")
async def of_a_later_class(step: StepContext, page: "Page") -> int:
    return page.number


@attrs.frozen
class Page:
    number: int


def local_class() -> tuple[type, Executor[..., Any]]:
    """A class that only its function knows, and an executor that takes it, quoted."""

    @attrs.frozen
    class Line:
        number: int

    @executor("local")
    async def of_a_local_class(step: StepContext, line: "Line") -> int:
        return line.number

    return Line, of_a_local_class


LOCAL, OF_A_LOCAL_CLASS = local_class()


# --- the type of the input -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "type_"),
    [(of_the_module, Chapter), (of_a_later_class, Page), (OF_A_LOCAL_CLASS, LOCAL)],
    ids=["of the module", "defined later", "local"],
)
async def test_a_quoted_annotation_names_the_type_of_the_input(
    tmp_path: Path, autojump_clock: MockClock, made: Executor[..., Any], type_: type
) -> None:
    def start(run: RunBuilder) -> None:
        run.step("s", {"number": 7}, kind=made.kind)

    assert made.input_type is type_
    async with opened(tmp_path) as rt:
        define(rt, made, graph=start)
        run = await rt.start_run("p")
        await rt.run_once()
        assert (await ended(rt, run.id)).value(int) == 7


def untyped(step: StepContext, value) -> None: ...  # type: ignore[no-untyped-def]  # untyped on purpose


def typed(step: StepContext, value: int) -> None: ...


def without_input(step: StepContext) -> None: ...


@pytest.mark.parametrize(
    ("made", "type_"),
    [
        (executor("k")(untyped), Any),
        (executor("k")(typed), int),
        (executor("k", input_type=str)(typed), str),
        (executor("k")(without_input), None),
    ],
)
def test_an_executor_tells_the_type_of_its_input(made: Executor[..., Any], type_: Any) -> None:
    assert made.input_type is type_


async def test_an_annotation_that_names_nothing_is_refused_at_registration(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("lost")
    async def lost(step: StepContext, value: "Nowhere") -> None: ...  # type: ignore[name-defined]  # noqa: F821 - a name there is not, on purpose

    message = (
        "executor \"lost\": the annotation 'Nowhere' of its input cannot be read "
        "(name 'Nowhere' is not defined); pass input_type="
    )
    async with opened(tmp_path) as rt:
        with pytest.raises(ConfigError, match=says(message)):
            rt.register_executor(lost)


# --- the signature ---------------------------------------------------------------------------------------

NOTHING_ELSE = "must take its context and, if it wants one, an input: nothing else is passed"
Refused = tuple[Any, str]
REFUSED: list[Refused] = [
    (7, "must be a function, not 7"),
    (lambda: None, NOTHING_ELSE),
    (lambda step, value, more: None, NOTHING_ELSE),
    (lambda step, *, more: None, NOTHING_ELSE),
    (dict, "has no readable signature"),
]


@pytest.mark.parametrize(("function", "message"), REFUSED)
def test_a_function_that_cannot_be_called_is_refused(function: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=f'^executor "k" {message}'):
        executor("k")(function)
    with pytest.raises(ConfigError, match=f'^the entrypoint of workflow package "p" {message}'):
        Package("p", entrypoint=function)


TAKEN: list[Callable[..., None]] = [
    lambda step, value, more=1: None,
    lambda step, *more: None,
    lambda step, *, more=1, **rest: None,
]


@pytest.mark.parametrize("function", TAKEN)
def test_what_has_a_default_may_stand_beside_the_input(function: Callable[..., None]) -> None:
    assert executor("k")(function).kind == "k"


class Doubles:
    """An object that is called as an async function is."""

    async def __call__(self, step: StepContext, number: int) -> int:
        return 2 * number


async def test_an_object_with_an_async_call_is_an_executor(tmp_path: Path, autojump_clock: MockClock) -> None:
    def start(run: RunBuilder) -> None:
        run.step("s", 21, kind="doubles")

    async with opened(tmp_path) as rt:
        define(rt, executor("doubles")(Doubles()), graph=start)
        run = await rt.start_run("p")
        await rt.run_once()
        assert (await ended(rt, run.id)).value(int) == 42


def test_an_executor_can_be_called_as_its_function() -> None:
    @executor("add")
    def add(step: StepContext | None, number: int, more: int = 1) -> int:
        """Adds."""
        return number + more

    assert (add(None, 1), add(None, number=1, more=2)) == (2, 3)
    assert (add.__name__, add.__doc__) == ("add", "Adds.")


# --- declaring and registering ---------------------------------------------------------------------------


@pytest.mark.parametrize("decorator", [executor, Package("p").executor])
def test_a_decorator_without_a_kind_is_refused(decorator: Any) -> None:
    with pytest.raises(ConfigError, match=r'^executor needs the kind of its steps: write executor\("KIND"\)'):
        decorator(without_input)


def test_a_package_has_one_entrypoint() -> None:
    package = Package("p", entrypoint=lambda run: None)
    with pytest.raises(ConfigError, match=says('workflow package "p" already has an entrypoint')):
        package.entrypoint(without_input)


def test_a_package_has_one_executor_of_a_kind() -> None:
    package = Package("p")
    first = package.executor("k")(without_input)
    with pytest.raises(ConfigError, match=says('executor kind "k" is already registered')):
        package.executor("k")(typed)
    assert package.executors == {"k": first}


async def test_only_packages_are_registered_as_packages(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt:
        wrong: Any = "letters"
        with pytest.raises(ConfigError, match=says("register_package takes a Package, not 'letters'")):
            rt.register_package(wrong)


# --- ids -------------------------------------------------------------------------------------------------


async def test_a_made_id_steps_round_one_that_is_taken(tmp_path: Path, autojump_clock: MockClock) -> None:
    @executor("work")
    async def work(step: StepContext) -> list[str]:
        made = [step.artifact("a", "text/plain", b"", id=wanted) for wanted in ("artifact:002", None, None)]
        children = [step.emit(wanted, kind="child").id for wanted in (f"{step.id}:emit:002", "", "")]
        return [*made, *children]

    @executor("child")
    async def child(step: StepContext) -> None: ...

    taken: list[str] = []

    def start(run: RunBuilder) -> None:
        taken.extend(run.step(wanted, kind="work").id for wanted in ("step:002", "", ""))

    async with opened(tmp_path) as rt:
        define(rt, work, child, graph=start)
        await rt.start_run("p", run_id="r")
        await run_until_idle(rt)
        assert taken == ["step:002", "step:003", "step:004"]
        assert (await ended(rt, "r", "step:003")).value() == [
            "r/step:003/artifact:002",
            "r/step:003/artifact:003",
            "r/step:003/artifact:004",
            "step:003:emit:002",
            "step:003:emit:003",
            "step:003:emit:004",
        ]
