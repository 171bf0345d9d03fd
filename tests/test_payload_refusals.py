"""The payload codec: values, depths and types that are refused, each in a sentence."""

import abc
import enum
import math
import threading
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, Protocol

import attrs
import pytest
from payload_kit import SURROGATE, Book, Box, Cat, Colour, Lazy, Level, Node, Page, Raising, nested

from trio_workflow.errors import ConfigError, PayloadError
from trio_workflow.model.payload import MAX_DEPTH, check_type, dumps, loads

REFUSED: list[tuple[object, str]] = [
    ({"pages": [0, {"title": math.nan}]}, "at $.pages[1].title: nan has no JSON form"),
    ([math.inf], "at $[0]: inf has no JSON form"),
    (-math.inf, "at $: -inf has no JSON form"),
    (Decimal("NaN"), "at $: Decimal('NaN') has no JSON form"),
    ({"a": SURROGATE}, "at $.a: text with a lone surrogate"),
    ({"b": {SURROGATE: 1}}, "at $.b: a key must be text with a UTF-8 form"),
    (Path("a" + SURROGATE), "at $: text with a lone surrogate"),
    ({"c": {5: 1}}, "at $.c: a key must be a str, not int 5"),
    ({None: 1}, "at $: a key must be a str, not NoneType None"),
    ({Level.LOW: 1}, "at $: a key must be a str, not Level"),
    (Book([Page(object())]), "at $.pages[0].number: object has no JSON form"),  # type: ignore[arg-type]  # wrong on purpose
    (Node(Decimal(1), [Page], None), "at $.children[0]: type has no JSON form"),  # type: ignore[list-item]  # wrong on purpose
    ({1j}, "at $[*]: complex has no JSON form"),
    ((1, threading.Lock), "at $[1]: "),
    ([Raising()], "at $[0]: Raising has no JSON form"),
    ({"lazy": Lazy(1)}, "at $.lazy.number: RuntimeError was raised: no number \ufffd"),
    (10**5000, "at $: an int of 16610 bits is too long"),
    (iter([1]), "at $: list_iterator has no JSON form"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_a_value_without_a_json_form_is_refused_with_its_place(value: object, message: str) -> None:
    with pytest.raises(PayloadError) as caught:
        dumps(value)
    assert str(caught.value).startswith(message)
    str(caught.value).encode()
    assert len(str(caught.value)) < 1000


def test_the_exception_of_a_users_class_is_the_last_cause() -> None:
    with pytest.raises(PayloadError) as caught:
        dumps([[{"lazy": Lazy(1)}]])
    chain: list[BaseException | None] = [caught.value]
    while chain[-1] is not None and len(chain) < 10:
        chain.append(chain[-1].__cause__)
    assert [type(link).__name__ for link in chain] == ["PayloadError", "Problem", "RuntimeError", "NoneType"]


def test_a_lone_surrogate_in_the_text_is_refused() -> None:
    for text in (f'["{SURROGATE}"]', '["\\ud800"]', '["\\uDC00x"]'):
        with pytest.raises(PayloadError, match=r"at \$\[0\]: text with a lone surrogate"):
            loads(text, Any)
    assert loads('"\\ud83d\\ude00"', str) == "\U0001f600"


def test_writing_and_reading_obey_one_limit_of_depth() -> None:
    text = "[" * MAX_DEPTH + "null" + "]" * MAX_DEPTH
    assert dumps(nested(MAX_DEPTH)) == text
    assert loads(text, Any) == nested(MAX_DEPTH)
    with pytest.raises(PayloadError, match="nested more than 200 deep"):
        dumps(nested(MAX_DEPTH + 1))
    with pytest.raises(PayloadError, match="nested more than 200 deep"):
        loads(f"[{text}]", Any)


def test_a_class_of_itself_can_be_as_deep_as_the_limit() -> None:
    node = None
    for _ in range(MAX_DEPTH - 1):
        node = Node(Decimal(1), [], node)
    assert node is not None
    assert loads(dumps(node), Node) == node


def test_brackets_inside_text_do_not_count_as_depth() -> None:
    assert loads(dumps("[" * 1000), str) == "[" * 1000
    assert loads(dumps([[]] * 1000), Any) == [[]] * 1000


def test_a_value_nested_a_hundred_thousand_deep_is_refused_in_peace() -> None:
    with pytest.raises(PayloadError) as caught:
        dumps(nested(100_000))
    assert len(str(caught.value)) < 1000
    with pytest.raises(PayloadError, match="nested more than"):
        loads("[" * 100_000 + "]" * 100_000, Any)


def test_a_value_that_contains_itself_is_refused() -> None:
    loop: list[object] = [1]
    loop.append({"again": loop, "and again": [loop, loop]})
    with pytest.raises(PayloadError, match=r"at \$\[1\]\.again\[1\]\.again.*contains itself"):
        dumps(loop)


def test_too_many_frames_of_the_caller_are_a_payload_error_too() -> None:
    def call(depth: int) -> str:
        return call(depth - 1) if depth else dumps(nested(150))

    with pytest.raises(PayloadError, match="nested more than 200 deep"):
        call(800)


class Callback(Protocol):
    def run(self) -> int: ...


@attrs.frozen
class Locked:
    boxes: list[Box[tuple[threading.Event, int]]]


@attrs.frozen
class Unresolved:
    page: "Nowhere"  # type: ignore[name-defined]  # noqa: F821 - a name there is not, on purpose


@attrs.frozen
class Other:
    name: str
    lives: int = 9


@attrs.frozen
class Named:
    name: str


@attrs.frozen
class Shape(abc.ABC):
    name: str

    @abc.abstractmethod
    def area(self) -> float: ...


class Mixed(enum.Enum):
    TUPLE = (1,)
    LIST = [1]  # noqa: RUF012 - a list is what is tested


class Opaque(enum.Enum):
    A = object()


CHECKED: list[tuple[Any, str]] = [
    (threading.Lock, "cannot be read from JSON"),
    (threading.Event, "Event cannot be read from JSON: it is no attrs class"),
    (object(), "it is no type"),
    (5, "5 cannot be read from JSON: it is no type"),
    ("Page", "the name is text"),
    (list["Nowhere"], "Nowhere cannot be read"),  # type: ignore[name-defined]  # noqa: F821 - a name there is not, on purpose
    (Callback, "Callback cannot be read from JSON: a protocol"),
    (Callable[[int], str], "cannot be read from JSON"),
    (type[int], "cannot be read from JSON"),
    (complex, "complex cannot be read from JSON"),
    (dict[int, str], "dict[int, str] cannot be read from JSON: its keys must be str"),
    (dict[str, list[threading.Event]], "Event cannot be read"),
    (Locked, "(in Locked)"),
    (Locked | None, "(in Locked)"),
    (Unresolved, "an annotation of Unresolved cannot be resolved"),
    (str | datetime, "str | datetime cannot be read from JSON: str and datetime cannot be told apart"),
    (bytes | timedelta, "cannot be told apart"),
    (list[int] | set[int], "cannot be told apart"),
    (Page | dict[str, int], "cannot be told apart"),
    (Page | Any, "cannot be told apart"),
    (Colour | str, "cannot be told apart"),
    (Literal["2020-01-01"] | date, "cannot be told apart"),
    (Cat | Other, "Cat and Other cannot be told apart"),
    (Other | Named, "Other and Named cannot be told apart"),
    (Shape, "Shape cannot be read from JSON: the class is abstract"),
    (Box[int] | Box[str], "cannot be told apart"),
    (Mixed, "Mixed has two values that are both written as [1]"),
    (Opaque, "Opaque allows a value without a JSON form"),
]


@pytest.mark.parametrize(("type_", "message"), CHECKED, ids=[message for _, message in CHECKED])
def test_a_type_that_cannot_be_read_is_refused_in_a_sentence(type_: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_type(type_)
    assert message in str(caught.value)
