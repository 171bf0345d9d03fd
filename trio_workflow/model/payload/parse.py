"""JSON text becomes plain JSON data that can be written again."""

import json
import math
from typing import Any

from trio_workflow.errors import PayloadError

from .problem import MAX_DEPTH, TOO_DEEP, Problem
from .texts import clean_text, is_encodable
from .write import plain


def parse(text: str) -> Any:
    """Plain JSON data that can be written again: finite, encodable, not too deep."""
    try:
        raw = _decode(text)
    except RecursionError as exc:
        raise PayloadError(f"the text has {TOO_DEEP}") from exc
    except (ValueError, TypeError) as exc:
        raise PayloadError(f"the text is not JSON: {clean_text(exc, 200)}") from exc
    if _is_suspect(text):
        try:
            plain(raw)
        except Problem as problem:
            raise problem.as_error() from None
    return raw


def _is_suspect(text: str) -> bool:
    """Whether the data must be walked. Most texts show at once that there is nothing to find."""
    return "\\u" in text or text.count("[") + text.count("{") > MAX_DEPTH or not is_encodable(text)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits[:40]} is too large for a float")
    return value


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


_decode = json.JSONDecoder(parse_float=_float, parse_constant=_constant).decode
