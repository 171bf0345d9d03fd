"""The fields of attrs classes, dataclasses, NamedTuples and TypedDicts, with their types resolved.

cattrs resolves a dataclass's annotations only where the whole annotation is text; here ``list["Page"]`` is
resolved as well, and the variables of generic classes are replaced by what they stand for.
"""

import dataclasses
import typing
from typing import Any, TypeVar, get_args, get_origin

import attrs

from trio_workflow.errors import ConfigError

from .types import type_name


@attrs.frozen
class Field:
    """One field of a class, a NamedTuple or a TypedDict, with its type resolved."""

    name: str
    alias: str
    type: Any
    required: bool


def fields_of(type_: Any) -> list[Field]:
    """The fields that can be given, in order. Raises ConfigError when an annotation cannot be resolved."""
    origin = get_origin(type_) or type_
    bound = _bindings(type_)
    return [
        attrs.evolve(field, type=_substituted(field.type, bound))
        for field in _declared(origin, _hints(origin))
    ]


def _declared(origin: Any, hints: dict[str, Any]) -> list[Field]:
    if attrs.has(origin):
        return [
            Field(a.name, a.alias or a.name, hints.get(a.name, a.type or Any), a.default is attrs.NOTHING)
            for a in attrs.fields(origin)
            if a.init
        ]
    if dataclasses.is_dataclass(origin):
        missing = dataclasses.MISSING
        return [
            Field(f.name, f.name, hints.get(f.name, f.type), f.default is f.default_factory is missing)
            for f in dataclasses.fields(origin)
            if f.init
        ]
    if hasattr(origin, "_fields"):
        defaults: dict[str, Any] = origin._field_defaults
        return [Field(name, name, hints.get(name, Any), name not in defaults) for name in origin._fields]
    return [Field(name, name, hint, _is_required(origin, name, hint)) for name, hint in hints.items()]


def _is_required(typed_dict: Any, name: str, hint: Any) -> bool:
    """The hint is asked first: under ``from __future__ import annotations`` __required_keys__ is wrong."""
    mark = getattr(get_origin(hint), "_name", None)
    if mark in ("Required", "NotRequired"):
        return bool(mark == "Required")
    required: frozenset[str] = typed_dict.__required_keys__
    return name in required


def _hints(origin: Any) -> dict[str, Any]:
    try:
        return typing.get_type_hints(origin, include_extras=True)
    except Exception as exc:
        # The class may have been resolved by its author (attrs.resolve_types): then no text is left.
        if attrs.has(origin) and not any(isinstance(a.type, str) for a in attrs.fields(origin)):
            return {}
        raise ConfigError(f"an annotation of {type_name(origin)} cannot be resolved: {exc}") from exc


def _bindings(type_: Any) -> dict[Any, Any]:
    """What each TypeVar of a generic class and of its bases stands for."""
    origin = get_origin(type_) or type_
    own = dict(zip(getattr(origin, "__parameters__", ()), get_args(type_), strict=False))
    bound = dict(own)
    for base in getattr(origin, "__orig_bases__", ()):
        for variable, value in _bindings(base).items():
            bound.setdefault(variable, _substituted(value, own))
    return bound


def _substituted(type_: Any, bound: dict[Any, Any]) -> Any:
    if isinstance(type_, TypeVar):
        return bound.get(type_, type_)
    # A generic class itself has parameters too; only list[T] and the like are to be filled in.
    generic: Any = None if isinstance(type_, type) else type_
    variables = getattr(generic, "__parameters__", ())
    if not variables:
        return type_
    return generic[tuple(bound.get(variable, variable) for variable in variables)]
