"""The shapes of types that are one number or one text, or a choice of some values."""

import typing
from collections.abc import Mapping
from enum import Flag
from pathlib import PurePath
from types import NoneType
from typing import Any, get_args, get_origin

from .containers import choice_hook, choices_of
from .parse import parse
from .scalars import TEXTS, exact_hook, float_hook, subclass_hook, text_hook
from .shape import Kind, Shape
from .types import is_enum

_TEXT: frozenset[Kind] = frozenset({str})

_PLAIN: dict[Any, Shape] = {
    NoneType: Shape(exact_hook(NoneType, "null"), frozenset({NoneType})),
    bool: Shape(exact_hook(bool, "bool"), frozenset({bool})),
    int: Shape(exact_hook(int, "int"), frozenset({int})),
    float: Shape(float_hook, frozenset({float})),
    str: Shape(exact_hook(str, "str"), _TEXT),
    **{kind: Shape(text_hook(*how), _TEXT) for kind, how in TEXTS.items()},
}


def scalar_shape(type_: Any) -> Shape | None:
    if not isinstance(type_, type) or get_origin(type_) is not None or is_enum(type_):
        return None
    if type_ in _PLAIN:
        return _PLAIN[type_]
    if issubclass(type_, PurePath):
        return Shape(text_hook("a path as text", type_), _TEXT)
    for base in (str, int, float):
        if issubclass(type_, base):
            return Shape(subclass_hook(_PLAIN[base].hook, type_), _PLAIN[base].kinds)
    return None


def literal_shape(type_: Any) -> Shape | None:
    """A Literal or an enum: the values it allows, by the texts they are written as."""
    if not is_enum(type_) and get_origin(type_) is not typing.Literal:
        return None
    choices = choices_of(type_, type_ if is_enum(type_) else get_args(type_))
    kinds = _kinds_of(choices)
    if is_enum(type_, Flag):
        # Flags together are an int too, though only single flags are listed.
        kinds |= {int}
    return Shape(choice_hook(type_, choices), kinds, choices=choices)


def _kinds_of(choices: Mapping[str, Any]) -> frozenset[Kind]:
    kinds: list[Kind] = [type(parse(text)) for text in choices]
    return frozenset(kinds)
