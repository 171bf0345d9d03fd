"""Telling classes of a union apart by the JSON object that one of them was written as.

Rule 1: a field that every class declares as a Literal (a tag) decides, when no value is allowed by two.
Rule 2: otherwise each class but one needs a required field that none of the others has; an object
without any of these fields is the one.
"""

import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args, get_origin

from trio_workflow.errors import ConfigError

from .containers import choices_of
from .fields import fields_of
from .types import bare, type_name
from .write import encode

Pick = Callable[[Mapping[str, Any]], Any]


def class_picker(union: Any, classes: Sequence[Any]) -> Pick:
    """Raises ConfigError when the classes cannot be told apart."""
    by_tag = _tag_picker(classes)
    return by_tag if by_tag is not None else _field_picker(union, classes)


def _tag_picker(classes: Sequence[Any]) -> Pick | None:
    tables = [_tags(kind) for kind in classes]
    for name in tables[0]:
        if all(name in table for table in tables):
            owners = [
                (text, kind) for kind, table in zip(classes, tables, strict=True) for text in table[name]
            ]
            if len(dict(owners)) == len(owners):
                return _by_tag(name, dict(owners))
    return None


def _tags(kind: Any) -> dict[str, dict[str, Any]]:
    fields = [(field.name, bare(field.type)) for field in fields_of(kind)]
    return {
        name: choices_of(type_, get_args(type_))
        for name, type_ in fields
        if get_origin(type_) is typing.Literal
    }


def _by_tag(name: str, owners: Mapping[str, Any]) -> Pick:
    return lambda raw: owners.get(encode(raw[name])) if name in raw else None


def _field_picker(union: Any, classes: Sequence[Any]) -> Pick:
    """Not cattrs' own way, which also counts on fields that __init__ does not take; those are not written."""
    owners: dict[str, Any] = {}
    others: list[Any] = []
    for kind in classes:
        field = _own_field(kind, [other for other in classes if other is not kind])
        if field is None:
            others.append(kind)
        else:
            owners[field] = kind
    if len(others) > 1:
        raise _not_apart(union, others)
    fallback = others[0] if others else None
    return lambda raw: next((kind for name, kind in owners.items() if name in raw), fallback)


def _own_field(kind: Any, others: Sequence[Any]) -> str | None:
    """A required field that none of the others has."""
    taken = {field.name for other in others for field in fields_of(other)}
    return next((field.name for field in fields_of(kind) if field.required and field.name not in taken), None)


def _not_apart(union: Any, classes: Sequence[Any]) -> ConfigError:
    names = " and ".join(map(type_name, classes))
    return ConfigError(
        f"{type_name(union)} cannot be read from JSON: {names} cannot be told apart; give each a "
        "required field of its own, or all a tag, such as kind: Literal['page']"
    )
