"""The shapes of types that have parts: containers and classes."""

import inspect
from collections import deque
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, MutableSet, Sequence, Set
from typing import Any, get_args, get_origin

from trio_workflow.errors import ConfigError

from .classes import class_hook, model_hook, named_tuple_hook, typed_dict_hook
from .containers import list_hook, mapping_hook, tuple_hook
from .fields import fields_of
from .shape import HookOf, Kind, Shape, ShapeOf
from .types import bare, is_model, is_named_tuple, is_protocol, is_record, is_typed_dict, type_name

_LIST: frozenset[Kind] = frozenset({list})
_DICT: frozenset[Kind] = frozenset({dict})

# What is made of the items; None leaves them the list they are.
_SEQUENCES: dict[Any, Callable[[list[Any]], Any] | None] = {
    list: None,
    Sequence: None,
    MutableSequence: None,
    set: set,
    MutableSet: set,
    frozenset: frozenset,
    Set: frozenset,
    deque: deque,
}
_MAPPINGS = (dict, Mapping, MutableMapping)


def container_shape(type_: Any, shape_of: ShapeOf) -> Shape | None:
    origin, args = get_origin(type_) or type_, get_args(type_)
    if origin is tuple:
        return _tuple(type_, args, shape_of)
    # By identity: a user's own class need not be hashable, nor compare well.
    if any(origin is kind for kind in _SEQUENCES):
        item = args[0] if args else Any
        return Shape(
            list_hook(shape_of(item).hook, _SEQUENCES[origin], type_name(type_)), _LIST, lambda: [item]
        )
    if any(origin is kind for kind in _MAPPINGS):
        key, item = args or (str, Any)
        return _mapping(type_, key, item, shape_of)
    return None


def _tuple(type_: Any, args: tuple[Any, ...], shape_of: ShapeOf) -> Shape:
    if type_ is tuple or (len(args) == 2 and args[1] is Ellipsis):
        item = args[0] if args else Any
        return Shape(list_hook(shape_of(item).hook, tuple, type_name(type_)), _LIST, lambda: [item])
    hook = tuple_hook([shape_of(arg).hook for arg in args], type_name(type_))
    return Shape(hook, _LIST, lambda: list(args))


def _mapping(type_: Any, key: Any, item: Any, shape_of: ShapeOf) -> Shape:
    is_any_text = bare(key) in (str, Any)
    key_shape = shape_of(key)
    if not is_any_text and not _is_text_key(bare(key), key_shape):
        raise ConfigError(f"{type_name(type_)} cannot be read from JSON: its keys must be str")
    read_key = None if is_any_text else key_shape.hook
    return Shape(mapping_hook(read_key, shape_of(item).hook, type_name(type_)), _DICT, lambda: [item])


def _is_text_key(key: Any, shape: Shape) -> bool:
    if shape.choices is not None:
        return all(isinstance(value, str) for value in shape.choices.values())
    return isinstance(key, type) and issubclass(key, str)


def class_shape(type_: Any, hook_of: HookOf) -> Shape | None:
    kind = get_origin(type_) or type_
    if not isinstance(kind, type) or is_protocol(kind) or inspect.isabstract(kind):
        return None

    def parts() -> list[Any]:
        return [field.type for field in fields_of(type_)]

    if is_model(kind):
        return Shape(model_hook(kind), _DICT)
    if is_typed_dict(kind):
        return Shape(typed_dict_hook(type_, hook_of), _DICT, parts)
    if is_named_tuple(kind):
        return Shape(named_tuple_hook(type_, hook_of), _LIST, parts)
    if is_record(kind):
        return Shape(class_hook(type_, hook_of), _DICT, parts)
    return None
