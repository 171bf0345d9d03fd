"""The plain forms of numbers and texts. Each makes an exact int, float or str, never a subclass of one."""

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from .problem import Problem
from .texts import brief, is_encodable

# A value and the number of lists and objects around it -> its plain form.
Writer = Callable[[Any, int], Any]

# Python refuses to print longer integers, and to parse them: 4300 digits (sys.set_int_max_str_digits).
_MAX_INT_BITS = 14_000


def text_form(value: str, _depth: int) -> str:
    if not is_encodable(value):
        raise Problem(f"text with a lone surrogate has no UTF-8 form: {brief(value)}")
    return str.__str__(value)


def int_form(value: int, _depth: int) -> int:
    if value.bit_length() > _MAX_INT_BITS:
        raise Problem(f"an int of {value.bit_length()} bits is too long to be written")
    return int.__index__(value)


def float_form(value: float, _depth: int) -> float:
    if not math.isfinite(value):
        raise Problem(f"{value!r} has no JSON form")
    return float.__float__(value)


def decimal_form(value: Decimal, _depth: int) -> str:
    if not value.is_finite():
        raise Problem(f"{value!r} has no JSON form")
    return str(value)


def by_text(text_of: Callable[[Any], str]) -> Writer:
    return lambda value, depth: text_form(text_of(value), depth)
