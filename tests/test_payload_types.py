"""The payload codec: types that stand for others, classes of users' own making, and what those raise."""

import threading
from typing import Any, Literal, NewType, TypeVar

import attrs
import pytest
from payload_kit import Page
from typing_extensions import TypeAliasType

from trio_workflow.errors import ConfigError, PayloadError
from trio_workflow.model.payload import check_type, dumps, loads

T = TypeVar("T")
BoundT = TypeVar("BoundT", bound=Page)
EitherT = TypeVar("EitherT", int, Page)
Pages = TypeAliasType("Pages", list[Page])
Pair = TypeAliasType("Pair", tuple[T, T], type_params=(T,))


@pytest.mark.parametrize(
    ("text", "type_", "value"),
    [
        ('[1,"a"]', T, [1, "a"]),
        ('{"number":1}', BoundT, Page(1)),
        ("1", EitherT, 1),
        ('{"number":1}', EitherT, Page(1)),
        ('[{"number":1}]', Pages, [Page(1)]),
        ("[1,2]", Pair[int], (1, 2)),
    ],
    ids=["any", "bound", "first choice", "second choice", "alias", "generic alias"],
)
def test_a_type_that_stands_for_another_is_read_as_that(text: str, type_: Any, value: object) -> None:
    check_type(type_)
    assert loads(text, type_) == value


@pytest.mark.parametrize(
    ("text", "type_", "message"),
    [
        ("5", BoundT, "at $: expected Page as an object, got int 5"),
        ('"a"', EitherT, "at $: expected int | Page, got str 'a'"),
        ("[5]", Pages, "at $[0]: expected Page as an object, got int 5"),
        ('[1,"a"]', Pair[int], "at $[1]: expected int, got str 'a'"),
    ],
    ids=["bound", "choice", "alias", "generic alias"],
)
def test_what_a_type_stands_for_takes_nothing_else(text: str, type_: Any, message: str) -> None:
    with pytest.raises(PayloadError) as caught:
        loads(text, type_)
    assert str(caught.value) == message


def test_a_type_that_stands_for_itself_is_refused() -> None:
    forest = NewType("forest", list)  # type: ignore[type-arg]  # bare on purpose
    inner: Any = forest
    inner.__supertype__ = list[inner]
    with pytest.raises(ConfigError, match=r"forest is defined by itself"):
        check_type(forest)


def test_reading_as_a_type_that_has_no_json_form_is_a_mistake_in_the_program() -> None:
    with pytest.raises(ConfigError, match="Event cannot be read from JSON"):
        loads("{}", threading.Event)


# --- subclasses of plain values --------------------------------------------------------------------------


class Percent(int):
    """A whole number of its own kind, which refuses some."""

    def __new__(cls, value: int) -> "Percent":
        if value > 100:
            raise ValueError("too many")
        return super().__new__(cls, value)


class Inverse(float):
    """A number that is not the one it was made of."""

    def __new__(cls, value: float) -> "Inverse":
        return super().__new__(cls, float("inf") if value == 0 else 1 / value)


def test_a_subclass_of_a_plain_value_is_made_by_its_class() -> None:
    assert type(loads("7", Percent)) is Percent
    assert loads("4.0", Inverse) == 0.25


@pytest.mark.parametrize(
    ("text", "type_", "message"),
    [
        ("101", Percent, "at $: expected Percent, got int 101"),
        ('"7"', Percent, "at $: expected int, got str '7'"),
        ("0.0", Inverse, "at $: inf has no JSON form"),
    ],
)
def test_what_the_class_refuses_does_not_fit(text: str, type_: Any, message: str) -> None:
    with pytest.raises(PayloadError) as caught:
        loads(text, type_)
    assert str(caught.value) == message


# --- what classes of users raise while they are written ---------------------------------------------------


class Broken(dict[str, int]):
    """A mapping that cannot be gone through."""

    def items(self) -> Any:
        raise LookupError("no items")

    def __hash__(self) -> int:  # type: ignore[override]  # it breaks on purpose
        return 1


@pytest.mark.parametrize(
    ("value", "where"), [({"a": [Broken()]}, "$.a[0]"), ({"b": Broken()}, "$.b"), ({Broken()}, "$[*]")]
)
def test_what_a_mapping_raises_is_told_with_its_place(value: object, where: str) -> None:
    with pytest.raises(PayloadError) as caught:
        dumps(value)
    assert str(caught.value) == f"at {where}: LookupError was raised: no items"


class Shy:
    def __repr__(self) -> str:
        raise LookupError


@pytest.mark.parametrize(
    ("key", "shown"), [(Shy(), "Shy <Shy "), (10**5000, "int <int ")], ids=["shy", "long"]
)
def test_a_message_can_be_had_about_any_object(key: object, shown: str) -> None:
    with pytest.raises(PayloadError) as caught:
        dumps({key: 1})
    assert str(caught.value).startswith(f"at $: a key must be a str, not {shown}")
    assert len(str(caught.value)) < 200


# --- unions and annotations ------------------------------------------------------------------------------


@attrs.frozen
class Big:
    size: Literal["l"]
    name: Literal["a"]
    width: int


@attrs.frozen
class Small:
    size: Literal["s"]
    name: Literal["a"]
    width: int


@attrs.frozen
class Older:
    version: Literal[1]
    name: Literal["a"]


@attrs.frozen
class Newer:
    edition: Literal[1]
    name: Literal["b"]


@pytest.mark.parametrize(
    ("union", "value"),
    [
        (Big | Small, Small("s", "a", 1)),
        (Small | Big, Big("l", "a", 1)),
        (Older | Newer, Newer(1, "b")),
        (Newer | Older, Older(1, "a")),
    ],
)
def test_the_tag_that_differs_tells_the_classes_of_a_union_apart(union: Any, value: object) -> None:
    check_type(union)
    assert loads(dumps(value), union) == value


@attrs.frozen
class Same:
    name: Literal["a"]
    first: int


@attrs.frozen
class Alike:
    name: Literal["a"]
    second: int


def test_a_tag_that_does_not_differ_leaves_it_to_the_fields() -> None:
    for value in (Same("a", 1), Alike("a", 2)):
        assert loads(dumps(value), Same | Alike) == value


def test_a_class_whose_author_resolved_its_annotations_can_be_read() -> None:
    class Inner:
        """Known only here."""

    @attrs.define
    class Outer:
        page: "Hidden"  # type: ignore[name-defined]  # noqa: F821 - a name there is not, on purpose

    with pytest.raises(ConfigError, match="an annotation of Outer cannot be resolved"):
        check_type(Outer)
    attrs.resolve_types(Outer, localns={"Hidden": Page})
    check_type(Outer)
    assert loads('{"page":{"number":1}}', Outer) == Outer(Page(1))
