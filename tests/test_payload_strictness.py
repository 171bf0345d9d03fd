"""The payload codec: reading converts nothing, and a mismatch is told with its place."""

import math
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import attrs
import pytest
from payload_kit import (
    Book,
    Box,
    Cat,
    Circle,
    Colour,
    Dog,
    IntBox,
    Level,
    Model,
    Move,
    Options,
    Page,
    Permission,
    Point,
    Shade,
    Square,
    UserId,
)

from trio_workflow.errors import PayloadError
from trio_workflow.model.payload import check_type, dumps, loads, type_name

STRICT: list[tuple[str, Any]] = [
    ('"5"', int),
    ("true", int),
    ("5.7", int),
    ("5.0", int),
    ("null", int),
    ("true", float),
    ('"1.5"', float),
    ("1" + "0" * 400, float),
    ("null", str),
    ("5", str),
    ('"abc"', bool),
    ("1", bool),
    ("0", None),
    ('"None"', None),
    ('"ab!"', bytes),
    ('"QR=="', bytes),
    ('"QQ"', bytes),
    ("[1]", bytes),
    ('"2020-01-01"', datetime),
    ("5", datetime),
    ('"2020-01-01T00:00:00"', date),
    ('"20200101"', date),
    ('"1234"', time),
    ('"P"', timedelta),
    ('"PT"', timedelta),
    ('"P1DT"', timedelta),
    ('"P1D\\n"', timedelta),
    ("5", timedelta),
    ('"P9999999999D"', timedelta),
    ('"12345678123456781234567812345678"', UUID),
    ("1.5", Decimal),
    ('"NaN"', Decimal),
    ('"one"', Decimal),
    ("5", Path),
    ('"abc"', list[str]),
    ('{"a":1}', list[str]),
    ('"ab"', set[str]),
    ("[[]]", set[Any]),
    ('"ab"', tuple[str, str]),
    ("[1,2,3]", tuple[int, int]),
    ("[1]", tuple[int, int]),
    ("[1]", tuple[()]),
    ("[]", dict[str, int]),
    ('{"a":"1"}', dict[str, int]),
    ('{"grey":1}', dict[Shade, int]),
    ("true", Colour),
    ("1.0", Colour),
    ('"RED"', Colour),
    ('"1"', Level),
    ("4", Permission),
    ("true", Permission),
    ("true", Literal[1]),
    ("1.0", Literal[1]),
    ('"b"', Literal["a"]),
    ("[]", Point),
    ("[1,2,3]", Point),
    ('{"x":1}', Point),
    ("{}", Options),
    ('{"name":"a","size":"1"}', Options),
    ("[]", Options),
    ("{}", Page),
    ("[]", Page),
    ('"abc"', Page),
    ('{"number":true}', Page),
    ('{"number":1,"title":null}', Page),
    ('{"radius":1,"kind":"oval"}', Circle | Square),
    ('{"radius":1}', Circle | Square),
    ('{"name":"x"}', Cat | Dog),
    ("[]", int | str | None),
    ("true", int | str | None),
    ("1.5", Literal[1] | str),
    ('"x"', Page | None),
    ('"soon"', Literal["now"] | datetime),
    ('{"item":"1"}', Box[int]),
    ('{"item":1,"more":["1"]}', IntBox),
    ('"5"', UserId),
]


@pytest.mark.parametrize(("text", "type_"), STRICT, ids=[f"{t[:20]} as {type_name(y)}" for t, y in STRICT])
def test_a_value_of_another_kind_is_never_converted(text: str, type_: Any) -> None:
    with pytest.raises(PayloadError, match=r"^at \$"):
        loads(text, type_)


@pytest.mark.parametrize("type_", [float, float | None, Literal[1] | float])
def test_an_int_is_taken_for_a_float_and_becomes_one(type_: Any) -> None:
    assert repr(loads("5", type_)) == "5.0"


def test_an_int_stays_an_int_where_both_are_declared() -> None:
    assert repr(loads("[5,5.0]", list[int | float])) == "[5, 5.0]"


def test_keys_the_type_does_not_know_are_ignored() -> None:
    text = '{"number":1,"title":"a","later":{"x":1}}'
    assert loads(text, Page) == Page(1, "a")
    assert loads(text, Page | None) == Page(1, "a")
    assert loads('{"name":"a","later":1}', Options) == {"name": "a"}


def test_a_named_tuple_written_before_a_field_was_added_is_read_with_its_default() -> None:
    assert loads("[1]", Point) == Point(1, 0.0)


def test_a_type_named_in_text_is_resolved() -> None:
    assert loads('{"to":[1,2.0]}', Move) == {"to": Point(1, 2.0)}
    with pytest.raises(PayloadError, match=r"at \$\.speed: expected float"):
        loads('{"to":[1,2.0],"speed":"x"}', Move)


def test_any_object_and_no_annotation_are_plain_json() -> None:
    for type_ in (Any, object, Any | None):
        assert loads('{"a":[1,null]}', type_) == {"a": [1, None]}


@pytest.mark.parametrize(
    ("text", "type_", "message"),
    [
        ('{"pages":[{"number":1},{"number":"5"}]}', Book, "at $.pages[1].number: expected int, got str '5'"),
        ('{"pages":[{}]}', Book, "at $.pages[0]: the key 'number' is missing"),
        ('{"a b":{"c":null}}', dict[str, dict[str, int]], "at $['a b'].c: expected int, got null"),
        ("[1,true]", tuple[int, int], "at $[1]: expected int, got bool True"),
        ('{"name":1}', Options, "at $.name: expected str, got int 1"),
        ("[1,null]", Point, "at $[1]: expected float, got null"),
        ('"x"', Page | None, "at $: expected Page | None, got str 'x'"),
        ('"blue"', Shade, 'at $: expected one of Shade ("light", "dark"), got str \'blue\''),
        ('["x"]', list[datetime], "at $[0]: expected an ISO 8601 date and time, got str 'x'"),
    ],
)
def test_a_mismatch_says_where_and_what(text: str, type_: Any, message: str) -> None:
    with pytest.raises(PayloadError) as caught:
        loads(text, type_)
    assert str(caught.value) == message


def test_only_the_first_problems_are_told_and_long_values_are_shortened() -> None:
    with pytest.raises(PayloadError) as caught:
        loads(dumps(["x" * 10_000] * 1000), list[int])
    message = str(caught.value)
    assert [f"at $[{index}]:" in message for index in range(6)] == [True] * 5 + [False]
    assert len(message) < 1000


def test_reading_stops_at_the_first_problems() -> None:
    asked: list[int] = []

    class Never(Model):
        @classmethod
        def model_validate(cls, raw: Any) -> Model:
            asked.append(raw)
            raise ValueError

    with pytest.raises(PayloadError):
        loads(dumps(list(range(1000))), list[Never])
    assert asked == [0, 1, 2, 3, 4]
    asked.clear()
    with pytest.raises(PayloadError):
        loads(dumps({str(number): number for number in range(10)}), dict[str, Never])
    assert asked == [0, 1, 2, 3, 4]


def test_problems_at_several_depths_keep_their_own_paths() -> None:
    text = '{"pages":[{"number":"1"},{"number":2,"title":3}],"colour":"blue"}'
    with pytest.raises(PayloadError) as caught:
        loads(text, Book)
    places = [line.split(": ")[0] for line in str(caught.value).split("; ")]
    assert places == ["at $.pages[0].number", "at $.pages[1].title", "at $.colour"]


def test_what_a_class_raises_while_it_is_made_is_a_payload_error() -> None:
    @attrs.frozen
    class Even:
        number: int = attrs.field()

        @number.validator
        def _check(self, _attribute: object, value: int) -> None:
            if value % 2:
                raise ZeroDivisionError("odd")

    assert loads('[{"number":2}]', list[Even]) == [Even(2)]
    with pytest.raises(PayloadError, match=r"at \$\[0\]: Even refused its fields: ZeroDivisionError.*odd"):
        loads('[{"number":3}]', list[Even])


@pytest.mark.parametrize(
    "text", ["", "{", "nul", "NaN", "-Infinity", "1e999", "[1,]", "1 2", "1" * 5000, "\ufeff1"]
)
def test_text_that_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(PayloadError, match="not JSON"):
        loads(text, Any)


def test_a_pydantic_model_is_asked_for_its_own_form() -> None:
    check_type(list[Model])
    assert dumps([Model(3)]) == '[{"number":3}]'
    assert loads('[{"number":3}]', list[Model])[0].number == 3
    with pytest.raises(PayloadError, match=r"at \$\[0\]: ValueError was raised: number is no int"):
        loads('[{"number":"3"}]', list[Model])
    with pytest.raises(PayloadError, match=r"at \$\.number: nan"):
        dumps(Model(math.nan))  # type: ignore[arg-type]  # wrong on purpose
