"""The details of a failure, made storable whatever they are."""

from collections.abc import Iterator
from itertools import count
from typing import Any, cast

from .texts import clean_text
from .write import encode, plain

# Bounds on the work for details that hold something without a JSON form: a value that contains itself twice
# would otherwise be walked along every path.
_MAX_DEPTH = 20
_MAX_MENDED = 200


def clean_details(details: object, limit: int = 16_384) -> Any:
    """JSON-able details. What is not JSON becomes text, and so does what is too large. Never raises."""
    try:
        form = _mended(details, 0, count())
        text = encode(form)
    except Exception:
        return clean_text(details, limit)
    return form if len(text) <= limit else clean_text(text, limit)


def _mended(value: Any, depth: int, mended: Iterator[int]) -> Any:
    """The parts that have a JSON form keep it; only the others become text."""
    try:
        return plain(value, depth)
    except Exception:
        if depth >= _MAX_DEPTH or next(mended) >= _MAX_MENDED:
            return clean_text(value)
    return _mended_parts(value, depth + 1, mended)


def _mended_parts(value: Any, depth: int, mended: Iterator[int]) -> Any:
    kind = cast(Any, type(value))
    if issubclass(kind, dict):
        return {clean_text(key, 200): _mended(item, depth, mended) for key, item in value.items()}
    if issubclass(kind, (list, tuple, set, frozenset)):
        return [_mended(item, depth, mended) for item in value]
    return clean_text(value)
