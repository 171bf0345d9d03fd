"""Whether a type can be read from JSON, asked once when it is registered rather than when a payload comes."""

from typing import Any

from trio_workflow.errors import ConfigError

from .hooks import shape_of
from .types import type_name


def check_type(type_: Any) -> None:
    """Raises ConfigError, naming the field or item that cannot be read. Follows containers and fields."""
    _check(type_, [])


def _check(type_: Any, seen: list[Any]) -> None:
    # A list, because a type need not be hashable; classes that contain each other end here.
    if any(type_ is known or type_ == known for known in seen):
        return
    seen.append(type_)
    for part in shape_of(type_).parts():
        _check_part(part, type_, seen)


def _check_part(part: Any, whole: Any, seen: list[Any]) -> None:
    try:
        _check(part, seen)
    except ConfigError as exc:
        raise ConfigError(f"{exc} (in {type_name(whole)})") from exc
