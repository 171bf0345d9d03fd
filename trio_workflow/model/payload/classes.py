"""Hooks that read a class: attrs, dataclass, TypedDict, pydantic model, or (from a list) NamedTuple.

cattrs writes the function that fills a class. It is shown every field under an opaque type which carries our
own hook, so that none of its lenient conversions can have a say.
"""

from typing import Any, get_origin

import attrs
import cattrs
from cattrs import gen

from .containers import read_items
from .fields import Field, fields_of
from .problem import MAX_PROBLEMS, Problem, joined, key_step, mismatch, problem_from
from .scalars import Hook
from .shape import HookOf
from .types import type_name


@attrs.frozen(eq=False)
class _Read:
    """The type of a field as cattrs sees it."""

    hook: Hook


_converter = cattrs.Converter(detailed_validation=True)


def _is_read(type_: Any) -> bool:
    return isinstance(type_, _Read)


def _hook_of_read(type_: Any) -> Hook:
    hook: Hook = type_.hook
    return hook


_converter.register_structure_hook_factory(_is_read, _hook_of_read)


def class_hook(type_: Any, hook_of: HookOf) -> Hook:
    """The filling function is made at the first use, so that a class may have fields of its own type."""
    expected = type_name(type_)
    fill: Hook | None = None

    def hook(raw: Any, _type: Any) -> Any:
        nonlocal fill
        if raw.__class__ is not dict:
            raise mismatch(f"{expected} as an object", raw)
        if fill is None:
            fill = _filler(type_, hook_of)
        try:
            return fill(raw, type_)
        except cattrs.ClassValidationError as group:
            raise _class_problem(group, raw, expected) from None

    return hook


def _filler(type_: Any, hook_of: HookOf) -> Hook:
    kind = get_origin(type_) or type_
    names = {variable.__name__: Any for variable in getattr(kind, "__parameters__", ())}
    # cattrs leaves the type of the attributes open, which pyright reports.
    make_fill: Any = gen.make_dict_structure_fn_from_attrs  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - untyped in cattrs
    fill: Hook = make_fill(
        _attributes(fields_of(type_), hook_of), kind, _converter, names, _cattrs_use_linecache=False
    )
    return fill


def _attributes(fields: list[Field], hook_of: HookOf) -> list[Any]:
    """The fields in the form that cattrs reads, for attrs classes and dataclasses alike."""
    made = attrs.make_class(
        "Fields",
        {
            field.name: attrs.field(alias=field.alias, default=attrs.NOTHING if field.required else None)
            for field in fields
        },
        kw_only=True,
    )
    types = {field.name: _Read(hook_of(field.type)) for field in fields}
    return [attribute.evolve(type=types[attribute.name]) for attribute in attrs.fields(made)]


def _class_problem(group: cattrs.ClassValidationError, raw: dict[str, Any], expected: str) -> Problem:
    fields, others = group.group_exceptions()
    problems = [_field_problem(exc, note.name, raw) for exc, note in fields[:MAX_PROBLEMS]]
    for exc in others:
        problem = problem_from(exc)
        problems.append(Problem(f"{expected} refused its fields: {problem.found[0][1]}"))
    return joined(problems)


def _field_problem(exc: Exception, name: str, raw: dict[str, Any]) -> Problem:
    if name not in raw:
        return Problem(f"the key {name!r} is missing")
    return problem_from(exc).under(key_step(name))


def typed_dict_hook(type_: Any, hook_of: HookOf) -> Hook:
    expected = type_name(type_)
    parts: list[tuple[Field, Hook]] | None = None

    def hook(raw: Any, _type: Any) -> Any:
        nonlocal parts
        if raw.__class__ is not dict:
            raise mismatch(f"{expected} as an object", raw)
        if parts is None:
            parts = [(field, hook_of(field.type)) for field in fields_of(type_)]
        return _typed_dict(raw, parts)

    return hook


def _typed_dict(raw: dict[str, Any], parts: list[tuple[Field, Hook]]) -> dict[str, Any]:
    value: dict[str, Any] = {}
    problems: list[Problem] = []
    for field, read in parts:
        if field.name in raw:
            try:
                value[field.name] = read(raw[field.name], None)
            except Exception as exc:
                problems.append(problem_from(exc).under(key_step(field.name)))
        elif field.required:
            problems.append(Problem(f"the key {field.name!r} is missing"))
    if problems:
        raise joined(problems)
    return value


def named_tuple_hook(type_: Any, hook_of: HookOf) -> Hook:
    """Written as a list. Places at the end that have a default may be missing: an older class wrote them."""
    expected, make = type_name(type_), get_origin(type_) or type_
    parts: list[tuple[Field, Hook]] | None = None

    def hook(raw: Any, _type: Any) -> Any:
        nonlocal parts
        if raw.__class__ is not list:
            raise mismatch(f"{expected} as a list", raw)
        if parts is None:
            parts = [(field, hook_of(field.type)) for field in fields_of(type_)]
        least = sum(field.required for field, _ in parts)
        if not least <= len(raw) <= len(parts):
            raise Problem(f"expected {expected}, that is {len(parts)} items, got {len(raw)}")
        return make(*read_items(raw, [read for _, read in parts]))

    return hook


def model_hook(kind: Any) -> Hook:
    """The model itself is the judge of what fits it."""

    def hook(raw: Any, _type: Any) -> Any:
        try:
            return kind.model_validate(raw)
        except Exception as exc:
            raise problem_from(exc) from exc

    return hook
