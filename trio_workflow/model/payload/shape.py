"""What is known of a type that can be read from JSON."""

from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any

import attrs

from .scalars import Hook

# The classes that JSON data has once it is parsed.
Kind = type[Any]
ALL_KINDS: frozenset[Kind] = frozenset({NoneType, bool, int, float, str, list, dict})


def no_kinds() -> frozenset[Kind]:
    return frozenset()


def _no_parts() -> list[Any]:
    return []


@attrs.frozen(eq=False)
class Shape:
    hook: Hook
    # The kinds that a value of the type is written as.
    kinds: frozenset[Kind]
    # The types that its items or fields have. Asking may raise ConfigError.
    parts: Callable[[], list[Any]] = _no_parts
    # JSON text -> value, when the type allows only these.
    choices: Mapping[str, Any] | None = None


HookOf = Callable[[Any], Hook]
ShapeOf = Callable[[Any], Shape]
Shapes = Mapping[Any, Shape]
