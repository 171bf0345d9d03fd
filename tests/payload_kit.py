"""Types of every kind a payload can have, for the tests of the codec."""

import dataclasses
import enum
from decimal import Decimal
from typing import (
    Any,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Required,
    TypedDict,
    TypeVar,
)

import attrs

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


class Raising:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


@attrs.frozen
class Lazy:
    number: int

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(f"no {name} {SURROGATE}")


def nested(depth: int, inner: Any = None) -> Any:
    value = inner
    for _ in range(depth):
        value = [value]
    return value
