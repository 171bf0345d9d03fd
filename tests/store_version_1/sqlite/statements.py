"""The SQL of the store, by name: each statement stands in a .sql file under `-- name: NAME`."""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from types import MappingProxyType

_HEAD = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


def _read(file: str) -> str:
    return (files("trio_workflow.store.sqlite") / "sql" / file).read_text(encoding="utf-8")


def _statements(text: str) -> Iterator[tuple[str, str]]:
    parts = _HEAD.split(text)[1:]
    return zip(parts[::2], (part.strip() for part in parts[1::2]), strict=True)


def _load(*names: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for file in names:
        for name, sql in _statements(_read(f"{file}.sql")):
            if name in found:
                raise AssertionError(f"two statements are named {name}")
            found[name] = sql
    return MappingProxyType(found)


SCHEMA = _read("schema.sql")
SQL = _load("create", "claim", "complete", "control", "read", "check")
