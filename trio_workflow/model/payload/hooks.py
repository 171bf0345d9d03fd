"""A type becomes its shape: the hook that reads it, the JSON kinds it is written as, and its parts.

Rule 1: a type has a shape or is refused; there is no guess and no fallback.
Rule 2: hooks of classes look at their fields at the first use, all others at once. So a class may be part of
itself, and check.py, which follows ``parts``, is what finds a field that has no shape.
"""

import inspect
import typing
from functools import lru_cache
from typing import Any, get_args, get_origin

from trio_workflow.errors import ConfigError

from .scalar_shapes import literal_shape, scalar_shape
from .scalars import Hook, any_hook
from .shape import ALL_KINDS, Shape, no_kinds
from .structure_shapes import class_shape, container_shape
from .types import bare, is_protocol, is_union, type_name
from .unions import require_classes_apart, union_hook


def hook_of(type_: Any) -> Hook:
    return shape_of(type_).hook


def shape_of(type_: Any) -> Shape:
    """Raises ConfigError for a type that has no JSON form to be read from."""
    try:
        return _cached_shape(type_) if _is_hashable(type_) else _shape(bare(type_))
    except RecursionError:
        raise ConfigError(f"{type_name(type_)} is defined by itself") from None


def _is_hashable(type_: Any) -> bool:
    try:
        hash(type_)
    except TypeError:
        return False
    return True


@lru_cache(maxsize=4096, typed=True)
def _cached_shape(type_: Any) -> Shape:
    return _shape(bare(type_))


def _shape(type_: Any) -> Shape:
    if type_ is Any:
        return Shape(any_hook, ALL_KINDS)
    shape = scalar_shape(type_) or _union(type_) or literal_shape(type_)
    shape = shape or container_shape(type_, shape_of) or class_shape(type_, hook_of)
    if shape is None:
        raise ConfigError(f"{type_name(type_)} cannot be read from JSON: {_reason(type_)}")
    return shape


def _reason(type_: Any) -> str:
    if isinstance(type_, (str, typing.ForwardRef)):
        return "the name is text that cannot be resolved here"
    if is_protocol(type_):
        return "a protocol does not say which class to make"
    if inspect.isabstract(get_origin(type_) or type_):
        return "the class is abstract"
    if isinstance(type_, type) or get_origin(type_) is not None:
        return "it is no attrs class, dataclass, TypedDict, NamedTuple, enum, container or plain value"
    return "it is no type"


def _union(type_: Any) -> Shape | None:
    if not is_union(type_):
        return None
    members = _flat(type_)
    shapes = {member: shape_of(member) for member in members}
    kinds = no_kinds().union(*(shape.kinds for shape in shapes.values()))

    def parts() -> list[Any]:
        require_classes_apart(type_, shapes)
        return members

    return Shape(union_hook(type_, shapes), kinds, parts)


def _flat(type_: Any) -> list[Any]:
    """The members, with the members of unions that an alias or a NewType had hidden."""
    members = [bare(member) for member in get_args(type_)]
    return [inner for member in members for inner in (_flat(member) if is_union(member) else [member])]
