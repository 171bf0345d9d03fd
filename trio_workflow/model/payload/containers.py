"""Hooks that read lists and mappings, and the values that a Literal or an Enum allows."""

from collections.abc import Callable, Iterable, Sequence
from enum import Enum, Flag
from itertools import repeat
from typing import Any

from trio_workflow.errors import ConfigError

from .problem import MAX_PROBLEMS, Problem, joined, key_step, mismatch, problem_from
from .scalars import Hook
from .texts import clean_text
from .types import is_enum, type_name
from .write import encode, plain


def list_hook(read: Hook, build: Callable[[list[Any]], Any] | None, expected: str) -> Hook:
    """A JSON list whose items all have one type. ``build`` makes a set, a tuple, ... of the items."""
    reads = repeat(read)

    def hook(raw: Any, _type: Any) -> Any:
        if raw.__class__ is not list:
            raise mismatch(expected, raw)
        items = read_items(raw, reads)
        return items if build is None else build(items)

    return hook


def tuple_hook(reads: Sequence[Hook], expected: str) -> Hook:
    """A JSON list of a fixed length, each place with a type of its own."""

    def hook(raw: Any, _type: Any) -> Any:
        if raw.__class__ is not list:
            raise mismatch(expected, raw)
        if len(raw) != len(reads):
            raise Problem(f"expected {expected}, that is {len(reads)} items, got {len(raw)}")
        return tuple(read_items(raw, reads))

    return hook


def read_items(raw: list[Any], reads: Iterable[Hook]) -> list[Any]:
    items: list[Any] = []
    problems: list[Problem] = []
    for index, (part, read) in enumerate(zip(raw, reads, strict=False)):
        try:
            items.append(read(part, None))
        except Exception as exc:
            problems.append(problem_from(exc).under(f"[{index}]"))
            if len(problems) >= MAX_PROBLEMS:
                break
    if problems:
        raise joined(problems)
    return items


def mapping_hook(key: Hook | None, read: Hook, expected: str) -> Hook:
    """A JSON object whose values all have one type. ``key`` is None when any text is a key."""

    def hook(raw: Any, _type: Any) -> Any:
        if raw.__class__ is not dict:
            raise mismatch(expected, raw)
        values: dict[Any, Any] = {}
        problems: list[Problem] = []
        for name, part in raw.items():
            try:
                values[name if key is None else key(name, None)] = read(part, None)
            except Exception as exc:
                problems.append(problem_from(exc).under(key_step(name)))
                if len(problems) >= MAX_PROBLEMS:
                    break
        if problems:
            raise joined(problems)
        return values

    return hook


def choices_of(type_: Any, values: Iterable[Any]) -> dict[str, Any]:
    """JSON text -> the value it stands for. The text, not the value, is compared: 1, 1.0 and True differ."""
    choices: dict[str, Any] = {}
    for value in values:
        try:
            text = encode(plain(value))
        except Exception as exc:
            sentence = problem_from(exc).found[0][1]
            raise ConfigError(f"{type_name(type_)} allows a value without a JSON form: {sentence}") from exc
        if text in choices and choices[text] != value:
            raise ConfigError(f"{type_name(type_)} has two values that are both written as {text}")
        choices.setdefault(text, value)
    return choices


def choice_hook(type_: Any, choices: dict[str, Any]) -> Hook:
    shown = ", ".join(list(choices)[:5]) + (", ..." if len(choices) > 5 else "")
    expected = clean_text(f"one of {type_name(type_)} ({shown})", 200)
    is_flag = is_enum(type_, Flag)

    def hook(raw: Any, _type: Any) -> Any:
        found = choices.get(encode(raw), choices)
        if found is not choices:
            return found
        if is_flag and raw.__class__ is int:
            return _flags(type_, raw)
        raise mismatch(expected, raw)

    return hook


def _flags(kind: type[Enum], raw: int) -> Any:
    """Several flags together are no member of the class, but a value of it."""
    try:
        return kind(raw)
    except ValueError:
        raise mismatch(f"flags of {type_name(kind)}", raw) from None
