"""Hooks that read a union: the JSON data alone must tell which member it is.

Rule 1: the class of the JSON data (null, bool, int, float, str, list, dict) picks the members that could
have written it. An int is a float's only when no other member reads it.
Rule 2: where one kind is left to several members, they must exclude each other, else the union is refused
when it is registered. Members of a Literal or an enum are asked by value; date, datetime, time, timedelta,
UUID and Decimal have texts that no other of them reads; classes are told apart by their fields (tags.py).
"""

from types import NoneType
from typing import Any, get_origin

from trio_workflow.errors import ConfigError

from .parse import parse
from .problem import Problem, mismatch
from .scalars import DISTINCT_TEXTS, Hook, any_hook, float_hook
from .shape import Shapes, no_kinds
from .tags import Pick, class_picker
from .types import is_record, type_name

_PLAIN = (NoneType, bool, int, float, str, dict, list)


def union_hook(type_: Any, shapes: Shapes) -> Hook:
    if Any in shapes:
        return _with_any(type_, shapes)
    expected = type_name(type_)
    hooks = {
        kind: _hook_of_kind(type_, {member: shape for member, shape in shapes.items() if kind in shape.kinds})
        for kind in no_kinds().union(*(shape.kinds for shape in shapes.values()))
    }
    if float in shapes:
        hooks[int] = _first_fit(type_, [hooks[int], float_hook]) if int in hooks else float_hook
    get = hooks.get

    def hook(raw: Any, _type: Any) -> Any:
        read = get(raw.__class__)
        if read is None:
            raise mismatch(expected, raw)
        return read(raw, None)

    return hook


def _with_any(type_: Any, shapes: Shapes) -> Hook:
    """``Any | None`` is plain JSON; ``Any | Page`` would never make a Page."""
    odd = [member for member in shapes if member is not Any and member not in _PLAIN]
    if odd:
        raise _refused(type_, [Any, *odd])
    return any_hook


def _hook_of_kind(type_: Any, shapes: Shapes) -> Hook:
    """The hook for the members that are all written as one kind of JSON data."""
    if len(shapes) == 1:
        [shape] = shapes.values()
        return shape.hook
    finite = {member: shape for member, shape in shapes.items() if shape.choices is not None}
    rest = {member: shape for member, shape in shapes.items() if shape.choices is None}
    if _are_classes(rest) and not finite:
        return _class_hook(type_, rest)
    if len(rest) > 1 and not all(member in DISTINCT_TEXTS for member in rest):
        raise _refused(type_, list(rest))
    _require_disjoint(type_, finite, rest)
    return _first_fit(type_, [shape.hook for shape in (*finite.values(), *rest.values())])


def _are_classes(shapes: Shapes) -> bool:
    return all(is_record(get_origin(member) or member) for member in shapes)


def _require_disjoint(type_: Any, finite: Shapes, rest: Shapes) -> None:
    """No other member may read an allowed value's text as something unequal."""
    for member, shape in finite.items():
        for text, value in (shape.choices or {}).items():
            for other, other_shape in {**finite, **rest}.items():
                if not _agrees(other_shape.hook, parse(text), value):
                    raise _refused(type_, [member, other])


def _agrees(hook: Hook, raw: Any, value: Any) -> bool:
    try:
        return bool(hook(raw, None) == value)
    except Problem:
        return True


def _first_fit(type_: Any, hooks: list[Hook]) -> Hook:
    expected = type_name(type_)

    def hook(raw: Any, _type: Any) -> Any:
        for read in hooks:
            try:
                return read(raw, None)
            except Problem:
                continue
        raise mismatch(expected, raw)

    return hook


def _class_hook(type_: Any, shapes: Shapes) -> Hook:
    """How to tell classes apart is found at the first use: their fields may name the union itself."""
    expected = type_name(type_)
    pick: Pick | None = None

    def hook(raw: Any, _type: Any) -> Any:
        nonlocal pick
        if pick is None:
            pick = class_picker(type_, list(shapes))
        member = pick(raw)
        if member is None:
            raise mismatch(f"{expected}, told apart by their fields", raw)
        return shapes[member].hook(raw, None)

    return hook


def require_classes_apart(type_: Any, shapes: Shapes) -> None:
    """What the hook of the classes would find at its first use."""
    classes = [member for member in shapes if is_record(get_origin(member) or member)]
    if len(classes) > 1:
        class_picker(type_, classes)


def _refused(type_: Any, members: list[Any]) -> ConfigError:
    names = " and ".join(type_name(member) for member in members[:3])
    return ConfigError(f"{type_name(type_)} cannot be read from JSON: {names} cannot be told apart there")
