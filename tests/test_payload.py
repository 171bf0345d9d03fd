"""The payload codec: what is written, what is read, and what is refused with its place."""

import abc
import dataclasses
import enum
import json
import math
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Protocol,
    Required,
    TypedDict,
    TypeVar,
    Union,
)
from uuid import UUID

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_workflow.errors import ConfigError, OptionError, PayloadError
from trio_workflow.model.payload import (
    MAX_DEPTH,
    check_type,
    clean_details,
    clean_text,
    dumps,
    loads,
    require_name,
    type_name,
)

T = TypeVar("T")
UserId = NewType("UserId", int)
SURROGATE = "\ud800"


class Colour(enum.Enum):
    RED = "red"
    DEEP = (1, "deep")
    ONE = 1


class Shade(enum.StrEnum):
    LIGHT = "light"
    DARK = "dark"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Permission(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: float = 0.0


class Options(TypedDict, total=False):
    name: Required[str]
    size: int


class Move(TypedDict):
    to: "Point"
    speed: "NotRequired[float]"


@attrs.frozen
class Page:
    number: int
    title: str = ""


@attrs.frozen
class Book:
    pages: list[Page]
    colour: Colour | None = None
    _secret: bytes = b""
    count: int = attrs.field(init=False, default=0)


@dataclasses.dataclass(frozen=True)
class Node:
    value: Decimal
    children: list["Node"]
    parent: Optional["Node"] = None


@attrs.frozen
class Box(Generic[T]):
    item: T
    more: list[T] = attrs.field(factory=list[T])


@attrs.frozen
class IntBox(Box[int]):
    label: str = ""


@attrs.frozen
class Circle:
    radius: float
    kind: Literal["circle"] = "circle"


@dataclasses.dataclass(frozen=True)
class Square:
    radius: float
    kind: Literal["square"] = "square"


@attrs.frozen
class Cat:
    name: str
    lives: int


@attrs.frozen
class Dog:
    name: str
    tricks: list[str]


class Model:
    """Behaves as a pydantic model does."""

    def __init__(self, number: int) -> None:
        self.number = number

    def model_dump(self, *, mode: str) -> dict[str, object]:
        assert mode == "json"
        return {"number": self.number}

    @classmethod
    def model_validate(cls, raw: Any) -> "Model":
        if type(raw["number"]) is not int:
            raise ValueError("number is no int")
        return cls(raw["number"])


class Tag(str):
    """A user's own kind of text."""


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


class Raising:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


@attrs.frozen
class Lazy:
    number: int

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"no {name} {SURROGATE}")


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
    (Book([Page(object())]), "at $.pages[0].number: object has no JSON form"),  # type: ignore[arg-type]
    (Node(Decimal(1), [Page], None), "at $.children[0]: type has no JSON form"),  # type: ignore[list-item]
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


def nested(depth: int, inner: Any = None) -> Any:
    value = inner
    for _ in range(depth):
        value = [value]
    return value


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


def test_a_pydantic_model_is_asked_for_its_own_form() -> None:
    check_type(list[Model])
    assert dumps([Model(3)]) == '[{"number":3}]'
    assert loads('[{"number":3}]', list[Model])[0].number == 3
    with pytest.raises(PayloadError, match=r"at \$\[0\]: ValueError was raised: number is no int"):
        loads('[{"number":"3"}]', list[Model])
    with pytest.raises(PayloadError, match=r"at \$\.number: nan"):
        dumps(Model(math.nan))  # type: ignore[arg-type]


class Callback(Protocol):
    def run(self) -> int: ...


@attrs.frozen
class Locked:
    boxes: list[Box[tuple[threading.Event, int]]]


@attrs.frozen
class Unresolved:
    page: "Nowhere"  # type: ignore[name-defined] # noqa: F821


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
    (list["Nowhere"], "Nowhere cannot be read"),  # type: ignore[name-defined] # noqa: F821
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


@pytest.mark.parametrize(
    ("type_", "name"),
    [
        (int, "int"),
        (None, "None"),
        (Any, "Any"),
        (list[Page], "list[Page]"),
        (str | None, "str | None"),
        (Union[int, str], "int | str"),  # noqa: UP007 - the older spelling is what is tested
        (tuple[int, ...], "tuple[int, ...]"),
        (tuple[()], "tuple[()]"),
        (dict[str, Box[int]], "dict[str, Box[int]]"),
        (Sequence[int], "Sequence[int]"),
        (Literal["a", 1], "Literal['a', 1]"),
        (Annotated[int, "x"], "int"),
        (UserId, "UserId"),
        (Callable[[int, str], None], "Callable[[int, str], None]"),
        ("Page", "Page"),
        (T, "T"),
    ],
)
def test_a_type_is_named_as_a_person_would(type_: Any, name: str) -> None:
    assert type_name(type_) == name


def test_a_name_of_a_type_never_fails() -> None:
    assert type_name(Raising()).startswith("<Raising")


@given(st.text(st.characters() | st.sampled_from([SURROGATE, "\0", "\udfff"])), st.integers(0, 60))
def test_clean_text_can_always_be_stored_and_keeps_its_limit(text: str, limit: int) -> None:
    cleaned = clean_text(text, limit)
    assert len(cleaned) <= limit
    assert "\0" not in cleaned
    cleaned.encode()


def test_clean_text_keeps_good_text_and_says_what_it_cut() -> None:
    assert clean_text("good\n") == "good\n"
    assert clean_text(f"a{SURROGATE}b\0") == "a\ufffdb\ufffd"
    assert clean_text("x" * 5000, 40) == "x" * 12 + "… [cut from 5000 characters]"
    assert clean_text("x" * 5000).endswith("… [cut from 5000 characters]")
    assert len(clean_text("x" * 5000)) == 4000


def test_clean_text_names_the_type_whose_text_raises() -> None:
    assert clean_text(Raising()) == "<Raising whose text cannot be had: RuntimeError>"
    assert clean_text(nested(100_000)).startswith("<list whose text cannot be had")


def test_clean_details_keeps_what_is_json_and_turns_the_rest_into_text() -> None:
    details = {"page": Page(1), "odd": [math.nan, object, {5: SURROGATE}], "bad": Raising(), "ok": {"a": [1]}}
    assert clean_details(details) == {
        "page": {"number": 1, "title": ""},
        "odd": ["nan", "<class 'object'>", {"5": "\ufffd"}],
        "bad": "<Raising whose text cannot be had: RuntimeError>",
        "ok": {"a": [1]},
    }


class Shut(dict[str, int]):
    def items(self) -> Any:
        raise RuntimeError("shut")


def test_clean_details_never_raises_and_is_always_storable() -> None:
    loop: dict[str, object] = {}
    loop.update({str(key): [loop, {"x": loop}] for key in range(10)})
    for details in (loop, nested(100_000), Raising(), Lazy(1), Shut(a=1), {Raising(): 1}, None, 10**5000):
        cleaned = clean_details(details)
        assert len(dumps(cleaned)) <= 2 * 16_384


def test_details_that_are_too_large_become_text() -> None:
    cleaned = clean_details({"a": "x" * 1000}, limit=100)
    assert isinstance(cleaned, str)
    assert cleaned.startswith('{"a":"xxx')
    assert len(cleaned) == 100


@pytest.mark.parametrize(
    "name", ["a", "step 1", "Grüße", "日本", "x" * 255, Tag("tag"), "\U0001f600", "\u200b"]
)
def test_a_name_is_returned_as_it_is(name: str) -> None:
    assert require_name("step id", name) == name
    assert type(require_name("step id", name)) is str


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "step id must be 1 to 255 characters long, not 0: ''"),
        ("x" * 256, "step id must be 1 to 255 characters long, not 256: 'xxx"),
        ("a\nb", r"step id must be free of control characters, not 'a\nb'"),
        ("\x7f", "step id must be free of control characters"),
        ("\x85", "step id must be free of control characters"),
        (SURROGATE, "step id must be encodable as UTF-8"),
        (5, "step id must be a str, not int 5"),
        (b"a", "step id must be a str, not bytes b'a'"),
        (None, "step id must be a str, not NoneType None"),
        (Raising(), "step id must be a str, not Raising"),
    ],
)
def test_what_is_no_name_is_refused(name: object, message: str) -> None:
    with pytest.raises(OptionError) as caught:
        require_name("step id", name)
    assert str(caught.value).startswith(message)
    str(caught.value).encode()
    assert len(str(caught.value)) < 250
