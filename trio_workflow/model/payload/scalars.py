"""Hooks that read one number or one text.

Rule 1: nothing is converted between kinds; the one exception is an int where a float is declared.
Rule 2: no text is read by two of date, datetime, time, timedelta, UUID and Decimal, so that a union of them
can be told apart: each reader asks for the marks (``-``, ``:``, ``P``) which only its own form has.
"""

import base64
import math
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from .problem import Problem, mismatch

Hook = Callable[[Any, Any], Any]

_DURATION = re.compile(
    r"(?P<sign>-?)P(?=[0-9T])(?:(?P<days>[0-9]+)D)?"
    r"(?:T(?=[0-9])(?:(?P<hours>[0-9]+)H)?(?:(?P<minutes>[0-9]+)M)?"
    r"(?:(?P<seconds>[0-9]+)(?:\.(?P<fraction>[0-9]{1,6}))?S)?)?"
)


def timedelta_text(value: timedelta) -> str:
    """ISO 8601, exact to the microsecond: -P1DT2.000003S."""
    sign, value = ("-", -value) if value.days < 0 and value != timedelta.min else ("", value)
    if value.days < 0:  # timedelta.min has no positive counterpart
        return "-P999999999D"
    fraction = f".{value.microseconds:06}" if value.microseconds else ""
    clock = f"T{value.seconds}{fraction}S" if value.seconds or fraction or not value.days else ""
    return f"{sign}P{f'{value.days}D' if value.days else ''}{clock}"


def _timedelta(text: str) -> timedelta:
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("not an ISO 8601 duration")
    days, hours, minutes, seconds = (
        int(match[part] or 0) for part in ("days", "hours", "minutes", "seconds")
    )
    micros = int((match["fraction"] or "").ljust(6, "0"))
    sign = -1 if match["sign"] else 1
    clock = sign * (hours * 3600 + minutes * 60 + seconds)
    return timedelta(days=sign * days, seconds=clock, microseconds=sign * micros)


# fromisoformat takes an offset from UTC of less than a second for UTC itself.
_TINY_OFFSET = re.compile(r"(?P<sign>[+-])00:00:00\.(?P<micros>[0-9]{6})")


def _tiny_offset(text: str) -> timezone | None:
    match = _TINY_OFFSET.fullmatch(text, max(len(text) - len("+00:00:00.000001"), 0))
    return match and timezone(timedelta(microseconds=int(match["sign"] + match["micros"])))


def _datetime(text: str) -> datetime:
    if len(text) <= len("2020-01-01"):
        raise ValueError("a date without a time")
    value = datetime.fromisoformat(text)
    zone = _tiny_offset(text)
    return value if zone is None else value.replace(tzinfo=zone)


def _date(text: str) -> date:
    if "-" not in text:
        raise ValueError("no dashes")
    return date.fromisoformat(text)


def _time(text: str) -> time:
    if ":" not in text:
        raise ValueError("no colons")
    value = time.fromisoformat(text)
    zone = _tiny_offset(text)
    return value if zone is None else value.replace(tzinfo=zone)


def _uuid(text: str) -> UUID:
    value = UUID(text)
    if str(value) != text.lower():
        raise ValueError("not the form with dashes")
    return value


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    if not value.is_finite():
        raise ValueError("not finite")
    return value


def _bytes(text: str) -> bytes:
    value = base64.b64decode(text)
    # b64decode skips strange characters and stray bits; one value must have one text.
    if base64.b64encode(value) != text.encode():
        raise ValueError("not canonical base64")
    return value


def _bytearray(text: str) -> bytearray:
    return bytearray(_bytes(text))


# type -> what the message calls it, and how its text is read
TEXTS: dict[type, tuple[str, Callable[[str], Any]]] = {
    datetime: ("an ISO 8601 date and time", _datetime),
    date: ("an ISO 8601 date", _date),
    time: ("an ISO 8601 time", _time),
    timedelta: ("an ISO 8601 duration", _timedelta),
    UUID: ("a UUID", _uuid),
    Decimal: ("a decimal number as text", _decimal),
    bytes: ("bytes as base64 text", _bytes),
    bytearray: ("bytes as base64 text", _bytearray),
}

# The types whose texts exclude each other (rule 2).
DISTINCT_TEXTS = frozenset({datetime, date, time, timedelta, UUID, Decimal})


def text_hook(expected: str, read: Callable[[str], Any]) -> Hook:
    def hook(raw: Any, _type: Any) -> Any:
        if raw.__class__ is not str:
            raise mismatch(expected, raw)
        try:
            return read(raw)
        except (ValueError, ArithmeticError) as exc:
            raise mismatch(expected, raw) from exc

    return hook


def exact_hook(kind: type, expected: str) -> Hook:
    def hook(raw: Any, _type: Any) -> Any:
        if raw.__class__ is not kind:
            raise mismatch(expected, raw)
        return raw

    return hook


def float_hook(raw: Any, _type: Any) -> Any:
    if raw.__class__ is float:
        return raw
    if raw.__class__ is not int:
        raise mismatch("float", raw)
    try:
        return float(raw)
    except OverflowError:
        raise mismatch("float", raw) from None


def subclass_hook(base: Hook, kind: type) -> Hook:
    """For a user's subclass of str, int or float: the base's rule, then the class itself."""

    def hook(raw: Any, type_: Any) -> Any:
        plain = base(raw, type_)
        try:
            value = kind(plain)
        except Exception as exc:
            raise mismatch(kind.__name__, raw) from exc
        if isinstance(value, float) and not math.isfinite(value):
            raise Problem(f"{value!r} has no JSON form")
        return value

    return hook


def any_hook(raw: Any, _type: Any) -> Any:
    return raw
