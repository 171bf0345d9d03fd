"""plan: the graph an entrypoint makes."""

from typing import Any

import attrs
import pytest
import trio
from trio.testing import assert_no_checkpoints

from trio_workflow import (
    ConfigError,
    GraphError,
    InputError,
    OptionError,
    Package,
    RetryPolicy,
    RunBuilder,
    StepNotFoundError,
    WorkflowError,
    optional,
    require,
)
from trio_workflow.testing import plan

books = Package("books", display_name="Books")


@attrs.frozen
class Book:
    id: str
    pages: int


@books.entrypoint
async def start(run: RunBuilder, book: Book) -> None:
    run.name(f"OCR {book.id}")
    run.metadata("book", book.id)
    for page in range(book.pages):
        run.step(
            f"page {page}", {"page": page}, kind="ocr", queue="cpu", dedup_key="same" if page > 1 else ""
        )
    run.step("index", book, kind="index", depends_on=require("page 0", "page 3") + optional("page 2"))
    run.step(kind="mail", depends_on="index", delay=5.0, priority=3)


def test_it_has_the_run_and_its_steps_with_duplicates_dropped() -> None:
    made = plan(books, Book("b", 4), metadata={"book": "x", "by": "me"})
    assert (made.id, made.package, made.name) == ("books-plan", "books", "OCR b")
    assert made.metadata == {"book": "b", "by": "me"}
    assert made.input == '{"id":"b","pages":4}'
    assert made.ids == ("page 0", "page 1", "page 2", "index", "step:006")
    assert made.aliases == {"page 3": "page 2"}
    assert made.depends_on("index") == ("page 0", "page 2")
    assert made.dependents("page 3") == ("index",)
    assert made.step("page 3") is made.step("page 2")
    assert made.step("index").value(Book) == Book("b", 4)
    assert made.step("page 1").value() == {"page": 1}
    mail = made.step("step:006")
    assert (mail.kind, mail.queue, mail.delay, mail.priority) == ("mail", "default", 5.0, 3)
    assert [d.required for d in made.step("index").depends_on] == [True, True]
    with pytest.raises(StepNotFoundError, match='no step "page 9"'):
        made.step("page 9")


def test_it_prints_as_a_graph() -> None:
    made = Package("p", entrypoint=lambda run: _diamond(run))
    assert str(plan(made)).splitlines() == [
        "p: p",
        "  a: k",
        "  b: k after a",
        "  c: k after a (optional), b",
    ]


def _diamond(run: RunBuilder) -> None:
    a = run.step("a", kind="k")
    b = run.step("b", kind="k", depends_on=a)
    run.step("c", kind="k", depends_on=optional(a) + require(b))


def test_options_of_the_run_are_taken() -> None:
    made = plan(
        Package("p", entrypoint=_diamond), run_id="r", name="n", default_retry=RetryPolicy(max_attempts=7)
    )
    assert (made.id, made.name, made.steps[0].retry.max_attempts) == ("r", "n", 7)


async def test_within_trio_it_gives_the_same_plan_at_once() -> None:
    book = Book("b", 4)
    with assert_no_checkpoints():
        made = plan(books, book)
    assert made == await trio.to_thread.run_sync(plan, books, book)


def test_it_raises_what_start_run_raises() -> None:
    def cycle(run: RunBuilder) -> None:
        run.step("a", kind="k", depends_on="b")
        run.step("b", kind="k", depends_on="a")

    for entrypoint, error, message in (
        (cycle, GraphError, "cycle"),
        (lambda run: None, GraphError, 'workflow package "p" entrypoint produced no initial steps'),
        (lambda run: run.step("a"), OptionError, "workflow step kind is required"),
        (lambda run: run.step("a", {1, object()}, kind="k"), InputError, 'input of step "a"'),
        (lambda run: run.step("a", "x" * 99, kind="k"), InputError, "max_payload"),
        (lambda run: 1 / 0, ZeroDivisionError, "division"),
    ):
        with pytest.raises(error, match=message):
            plan(Package("p", entrypoint=entrypoint), max_payload=50)
    with pytest.raises(InputError, match=r"does not fit Book: at \$\.pages"):
        plan(books, {"id": "b", "pages": "4"})
    with pytest.raises(ConfigError, match='"p" entrypoint is required'):
        plan(Package("p"))


went_on: list[str] = []


async def _sleeps(run: RunBuilder) -> None:
    run.step("a", kind="k")
    await trio.sleep(0.01)
    went_on.append("sleeps")


async def _opens_a_nursery(run: RunBuilder) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, 1)


class _Yields:
    def __await__(self) -> Any:
        yield "something"


async def _awaits_something_else(run: RunBuilder) -> None:
    await _Yields()


@pytest.mark.parametrize("entrypoint", [_sleeps, _opens_a_nursery, _awaits_something_else])
def test_an_entrypoint_that_waits_is_told(entrypoint: Any) -> None:
    async def within() -> None:
        with trio.fail_after(5):
            check()
            await trio.lowlevel.checkpoint()

    def check() -> None:
        with pytest.raises(WorkflowError, match='entrypoint of workflow package "p" waits'):
            plan(Package("p", entrypoint=entrypoint))

    check()
    trio.run(within)
    assert went_on == []
