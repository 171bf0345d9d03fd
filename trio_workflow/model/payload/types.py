"""What a type annotation means: its bare form, its name, its sort."""

import functools
import inspect
import types
import typing
from enum import Enum
from typing import Any, ForwardRef, TypeVar, Union, get_args, get_origin

from .texts import brief

# By name: ReadOnly comes from typing_extensions before Python 3.13.
_WRAPPERS = ("Final", "Required", "NotRequired", "ReadOnly", "ClassVar")


def is_model(kind: Any) -> bool:
    """Whether the class is a pydantic model, or behaves as one."""
    return (
        isinstance(kind, type)
        and callable(getattr(kind, "model_dump", None))
        and callable(getattr(kind, "model_validate", None))
    )


def is_union(type_: Any) -> bool:
    return get_origin(type_) in (Union, types.UnionType)


def bare(type_: Any) -> Any:
    """The type without what only annotates it: Annotated, NewType, Final, Required, an alias, a TypeVar."""
    while True:
        inner = _unwrapped(type_)
        if inner is type_:
            return type_
        type_ = inner


def _unwrapped(type_: Any) -> Any:
    if type_ is None:
        return types.NoneType
    if type_ is Any or type_ is object or type_ is inspect.Parameter.empty:
        return Any
    if isinstance(type_, TypeVar):
        return _of_type_var(type_)
    if isinstance(type_, typing.NewType):
        return type_.__supertype__
    origin = get_origin(type_)
    if origin is typing.Annotated or getattr(origin, "_name", None) in _WRAPPERS:
        return get_args(type_)[0]
    return _of_alias(type_, origin)


def _of_type_var(variable: TypeVar) -> Any:
    if variable.__constraints__:
        return functools.reduce(_either, variable.__constraints__)
    return Any if variable.__bound__ is None else variable.__bound__


def _either(first: Any, second: Any) -> Any:
    return first | second


def _of_alias(type_: Any, origin: Any) -> Any:
    """What a ``type X = ...`` statement names."""
    if type(type_).__name__ == "TypeAliasType":
        return type_.__value__
    if type(origin).__name__ == "TypeAliasType":
        return origin.__value__[get_args(type_)]
    return type_


def type_name(type_: Any) -> str:
    """The type as a person would write it: ``int``, ``list[Page]``, ``str | None``."""
    if type_ is None or type_ is types.NoneType:
        return "None"
    if type_ is Ellipsis:
        return "..."
    if isinstance(type_, (str, ForwardRef)):
        return type_ if isinstance(type_, str) else type_.__forward_arg__
    origin, args = get_origin(type_), get_args(type_)
    if origin is typing.Annotated:
        return type_name(args[0])
    if is_union(type_):
        return " | ".join(type_name(arg) for arg in args)
    if origin is typing.Literal:
        return f"Literal[{', '.join(brief(arg) for arg in args)}]"
    if origin is not None:
        return f"{_own_name(origin)}[{', '.join(_argument_name(arg) for arg in args) or '()'}]"
    return _own_name(type_)


def _argument_name(arg: Any) -> str:
    # The parameters of a Callable come as a list.
    return f"[{', '.join(map(type_name, arg))}]" if arg.__class__ is list else type_name(arg)


def _own_name(type_: Any) -> str:
    name = getattr(type_, "__qualname__", None) or getattr(type_, "__name__", None)
    if not isinstance(name, str):
        name = getattr(type_, "_name", None)
    # A class of a function is called by its own name; where it was defined says little.
    return name.rpartition("<locals>.")[2] if isinstance(name, str) else brief(type_)


def is_enum(type_: Any, base: type[Enum] = Enum) -> bool:
    return isinstance(type_, type) and issubclass(type_, base)


def is_typed_dict(type_: Any) -> bool:
    return isinstance(type_, type) and dict in type_.__bases__ and hasattr(type_, "__required_keys__")


def is_named_tuple(type_: Any) -> bool:
    return isinstance(type_, type) and tuple in type_.__mro__ and hasattr(type_, "_fields")


def is_record(kind: Any) -> bool:
    """Whether it is an attrs class or a dataclass."""
    return hasattr(kind, "__attrs_attrs__") or hasattr(kind, "__dataclass_fields__")


def is_protocol(type_: Any) -> bool:
    return getattr(type_, "_is_protocol", False) is True
