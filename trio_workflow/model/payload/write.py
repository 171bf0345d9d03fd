"""A value becomes plain JSON data: dict, list, str, int, float, bool and None, all exactly those classes.

Rule 1: the runtime class alone decides the form; declared types are not asked.
Rule 2: the forms below are stored for ever. A changed form would orphan every value written before.

    bytes, bytearray   base64, the standard alphabet, padded
    datetime, date, time   isoformat()
    timedelta          ISO 8601 in days and seconds: P1DT2.000003S, with a minus sign in front if negative
    UUID, Decimal, paths   str()
    enum member        the form of its value
    tuple, NamedTuple, list, deque   a list
    set, frozenset     a list in the order of its items' JSON texts
    attrs class, dataclass   an object of the fields that __init__ takes, under their own names
    TypedDict, dict, Mapping   an object; every key a str
    pydantic model     model_dump(mode="json")
"""

import base64
import dataclasses
import json
from collections import deque
from collections.abc import Callable, Mapping, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from pathlib import PurePath
from typing import Any
from uuid import UUID

import attrs

from .problem import MAX_DEPTH, TOO_DEEP, Problem, key_step, problem_from
from .scalar_forms import Writer, by_text, decimal_form, float_form, int_form, text_form
from .scalars import timedelta_text
from .texts import brief, is_encodable
from .types import is_model

# check_circular is off because plain() builds a tree of new containers, which cannot contain itself.
encode = json.JSONEncoder(
    ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=True, separators=(",", ":")
).encode


# Not annotated as type itself: strict checkers take what it answers for partly unknown.
_class_of: Callable[[Any], Any] = type


def plain(value: Any, depth: int = 0) -> Any:
    """The value's plain form. ``depth`` counts the lists and objects around it. Raises Problem."""
    kind = _class_of(value)
    if kind is str:
        return value if value.isascii() else text_form(value, depth)
    if kind is int:
        return value if -(2**63) <= value < 2**63 else int_form(value, depth)
    if kind is bool or value is None:
        return value
    return writer_for(kind)(value, depth)


@lru_cache(maxsize=2048)
def writer_for(kind: Any) -> Writer:
    if is_model(kind):
        return _model
    # Before int and str: a member of IntEnum or StrEnum is written as its value.
    if issubclass(kind, Enum):
        return _enum
    if attrs.has(kind):
        return _fields([field.name for field in attrs.fields(kind) if field.init])
    if dataclasses.is_dataclass(kind):
        return _fields([field.name for field in dataclasses.fields(kind) if field.init])
    for base, writer in _WRITERS:
        if issubclass(kind, base):
            return writer
    return _nothing


def _enum(value: Enum, depth: int) -> Any:
    return plain(value.value, depth)


def _model(value: Any, depth: int) -> Any:
    return plain(value.model_dump(mode="json"), depth)


def _nothing(value: object, _depth: int) -> Any:
    raise Problem(f"{type(value).__qualname__} has no JSON form: {brief(value)}")


def _deeper(depth: int) -> int:
    if depth >= MAX_DEPTH:
        raise Problem(TOO_DEEP)
    return depth + 1


def _fields(names: list[str]) -> Writer:
    def write(value: object, depth: int) -> dict[str, Any]:
        depth = _deeper(depth)
        form: dict[str, Any] = {}
        name = ""
        try:
            for name in names:
                form[name] = plain(getattr(value, name), depth)
        except Problem as problem:
            problem.under(key_step(name))
            raise
        except Exception as exc:
            raise problem_from(exc).under(key_step(name)) from exc
        return form

    return write


def _mapping(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    depth = _deeper(depth)
    form: dict[str, Any] = {}
    for key, item in value.items():
        name = key if type(key) is str and key.isascii() else _key(key)
        try:
            form[name] = plain(item, depth)
        except Problem as problem:
            problem.under(key_step(name))
            raise
        except Exception as exc:
            raise problem_from(exc).under(key_step(name)) from exc
    return form


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise Problem(f"a key must be a str, not {type(key).__name__} {brief(key)}")
    text = key.value if isinstance(key, Enum) else key
    if not isinstance(text, str) or not is_encodable(text):
        raise Problem(f"a key must be text with a UTF-8 form, not {brief(key)}")
    return str.__str__(text)


def _list(value: Any, depth: int) -> list[Any]:
    depth = _deeper(depth)
    form: list[Any] = []
    try:
        for item in value:
            form.append(plain(item, depth))
    except Problem as problem:
        problem.under(f"[{len(form)}]")
        raise
    except Exception as exc:
        raise problem_from(exc).under(f"[{len(form)}]") from exc
    return form


def _set(value: Set[Any], depth: int) -> list[Any]:
    depth = _deeper(depth)
    try:
        return sorted((plain(item, depth) for item in value), key=encode)
    except Problem as problem:
        problem.under("[*]")
        raise
    except Exception as exc:
        raise problem_from(exc).under("[*]") from exc


# The first base that fits is taken: datetime is a date.
_WRITERS: list[tuple[type, Writer]] = [
    (dict, _mapping),
    (list, _list),
    (float, float_form),
    (str, text_form),
    (int, int_form),
    (tuple, _list),
    (datetime, by_text(datetime.isoformat)),
    (date, by_text(date.isoformat)),
    (time, by_text(time.isoformat)),
    (timedelta, by_text(timedelta_text)),
    (bytes, by_text(lambda value: base64.b64encode(value).decode())),
    (bytearray, by_text(lambda value: base64.b64encode(value).decode())),
    (UUID, by_text(str)),
    (Decimal, decimal_form),
    (PurePath, by_text(str)),
    (Mapping, _mapping),
    (deque, _list),
    (Set, _set),
]
