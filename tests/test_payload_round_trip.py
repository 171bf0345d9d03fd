"""The payload codec: what was written is read back, and the stored forms."""

import json
from collections import deque
from collections.abc import Mapping, Sequence, Set
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from payload_kit import (
    Book,
    Box,
    Cat,
    Circle,
    Colour,
    Dog,
    IntBox,
    Level,
    Node,
    Options,
    Page,
    Permission,
    Point,
    Shade,
    Square,
    Tag,
    UserId,
)

from trio_workflow.model.payload import check_type, dumps, loads

# Each strategy draws values of the declared type beside it.
texts = st.text(max_size=8)
ints = st.integers()
floats = st.floats(allow_nan=False, allow_infinity=False)
second = timedelta(seconds=1)
offsets = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)) | st.timedeltas(-second, second)
zones = st.none() | offsets.map(timezone)
datetimes = st.datetimes(timezones=zones)
decimals = st.decimals(allow_nan=False, allow_infinity=False)
pages = st.builds(Page, ints, texts)
colours = st.sampled_from(Colour)
nodes = st.recursive(
    st.builds(Node, decimals, st.just([])),
    lambda inner: st.builds(Node, decimals, st.lists(inner, max_size=3), st.none() | inner),
    max_leaves=5,
)
plain_json = st.recursive(
    st.none() | st.booleans() | ints | floats | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)

LAW: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "Any": (Any, plain_json),
    "None": (None, st.none()),
    "bool": (bool, st.booleans()),
    "int": (int, ints),
    "float": (float, floats),
    "str": (str, texts),
    "str subclass": (Tag, texts.map(Tag)),
    "bytes": (bytes, st.binary()),
    "bytearray": (bytearray, st.binary().map(bytearray)),
    "datetime": (datetime, datetimes),
    "date": (date, st.dates()),
    "time": (time, st.times(timezones=zones)),
    "timedelta": (timedelta, st.timedeltas()),
    "UUID": (UUID, st.uuids()),
    "Decimal": (Decimal, decimals),
    "Path": (Path, texts.filter(lambda text: "\0" not in text).map(Path)),
    "PurePosixPath": (PurePosixPath, st.just(PurePosixPath("a/b"))),
    "list": (list[int], st.lists(ints)),
    "bare list": (list, st.lists(ints)),
    "Sequence": (Sequence[str], st.lists(texts)),
    "deque": (deque[int], st.lists(ints).map(deque)),
    "tuple of one type": (tuple[int, ...], st.lists(ints).map(tuple)),
    "tuple of places": (tuple[int, str, bytes], st.tuples(ints, texts, st.binary())),
    "empty tuple": (tuple[()], st.just(())),
    "set": (set[str], st.sets(texts)),
    "set of bytes": (set[bytes], st.sets(st.binary())),
    "frozenset": (frozenset[Page], st.frozensets(pages, max_size=4)),
    "Set": (Set[int], st.sets(ints)),
    "dict": (dict[str, list[float]], st.dictionaries(texts, st.lists(floats))),
    "dict with enum keys": (dict[Shade, int], st.dictionaries(st.sampled_from(Shade), ints)),
    "Mapping": (Mapping[str, UUID], st.dictionaries(texts, st.uuids())),
    "enum": (Colour, colours),
    "StrEnum": (Shade, st.sampled_from(Shade)),
    "IntEnum": (Level, st.sampled_from(Level)),
    "Flag": (Permission, st.integers(0, 3).map(Permission)),
    "Literal": (
        Literal["a", 1, True, None, b"x", Colour.DEEP],
        st.sampled_from(["a", 1, True, None, b"x", Colour.DEEP]),
    ),
    "NamedTuple": (Point, st.builds(Point, ints, floats)),
    "TypedDict": (Options, st.fixed_dictionaries({"name": texts}, optional={"size": ints})),
    "attrs": (Page, pages),
    "attrs in attrs": (Book, st.builds(Book, st.lists(pages), st.none() | colours, st.binary())),
    "dataclass of itself": (Node, nodes),
    "generic": (Box[date], st.builds(Box[date], st.dates(), st.lists(st.dates()))),
    "generic base": (IntBox, st.builds(IntBox, ints, st.lists(ints), texts)),
    "NewType": (UserId, ints),
    "Annotated": (Annotated[list[Page], ["unhashable"]], st.lists(pages)),
    "optional": (Page | None, st.none() | pages),
    "union of kinds": (
        int | float | str | None | list[int] | Page,
        ints | floats | texts | st.none() | st.lists(ints) | pages,
    ),
    "union of texts": (
        date | datetime | time | timedelta | UUID | Decimal,
        st.dates() | datetimes | st.times() | st.timedeltas() | st.uuids() | decimals,
    ),
    "union with a tag": (Circle | Square, st.builds(Circle, floats) | st.builds(Square, floats)),
    "union by fields": (
        Cat | Dog | None,
        st.builds(Cat, texts, ints) | st.builds(Dog, texts, st.lists(texts)),
    ),
    "union with StrEnum": (Shade | str, st.sampled_from(Shade) | texts),
    "union with Literal": (Literal["now"] | datetime, st.just("now") | datetimes),
    "union in containers": (dict[str, list[Page | int]], st.dictionaries(texts, st.lists(pages | ints))),
}


@pytest.mark.parametrize("name", LAW)
@given(data=st.data())
def test_what_was_written_is_read_back_equal_and_writes_the_same_text(name: str, data: st.DataObject) -> None:
    type_, strategy = LAW[name]
    value = data.draw(strategy)
    text = dumps(value)
    again = loads(text, type_)
    assert again == value
    assert type(again) is type(value) or name == "Set"
    assert dumps(again) == text
    text.encode()


@pytest.mark.parametrize("name", LAW)
def test_every_type_that_keeps_the_law_can_be_registered(name: str) -> None:
    check_type(LAW[name][0])


@given(plain_json)
def test_the_text_is_canonical_json(value: Any) -> None:
    text = dumps(value)
    expected = json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    assert text == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"\xff\xfe", '"//4="'),
        (datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC), '"2020-01-02T03:04:05+00:00"'),
        (timedelta(days=-1, microseconds=-3), '"-P1DT0.000003S"'),
        (timedelta(seconds=90), '"PT90S"'),
        (timedelta(), '"PT0S"'),
        (timedelta.min, '"-P999999999D"'),
        (Decimal("1.50"), '"1.50"'),
        (Colour.DEEP, '[1,"deep"]'),
        (Level.HIGH, "2"),
        (Point(1, 2.0), "[1,2.0]"),
        (Book([Page(1)], None, b"k"), '{"_secret":"aw==","colour":null,"pages":[{"number":1,"title":""}]}'),
        ({Shade.DARK: "ü"}, '{"dark":"ü"}'),
        (Tag("x"), '"x"'),
    ],
)
def test_the_stored_forms_never_change(value: object, text: str) -> None:
    assert dumps(value) == text


def test_a_set_is_written_in_one_order() -> None:
    names = [f"name {number}" for number in range(50)]
    assert json.loads(dumps(set(names))) == sorted(names)
    assert dumps(set(names)) == dumps(frozenset(reversed(names)))
    assert dumps({Page(2), Page(1)}) == '[{"number":1,"title":""},{"number":2,"title":""}]'


def test_a_member_of_an_enum_is_written_as_its_exact_value_not_as_a_member() -> None:
    assert dumps([Level.LOW, Shade.DARK]) == '[1,"dark"]'
