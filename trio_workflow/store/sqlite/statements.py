"""The SQL of the store, by name: each statement stands in a .sql file under `-- name: NAME`."""

import re
from collections.abc import Iterator, Mapping
from importlib.resources import files
from types import MappingProxyType

_HEAD = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


_FOLDER = files("trio_workflow.store.sqlite") / "sql"


def _read(file: str) -> str:
    return (_FOLDER / file).read_text(encoding="utf-8")


def _migrations() -> tuple[str, ...]:
    """The scripts in migrations/, which are named NUMBER_WORDS.sql, in the order of their numbers from 2."""
    names = sorted(file.name for file in (_FOLDER / "migrations").iterdir() if file.name.endswith(".sql"))
    for number, name in enumerate(names, 2):
        if not name.startswith(f"{number:03}_"):
            raise AssertionError(f"the migration {name} should have the number {number:03}")
    return tuple(_read(f"migrations/{name}") for name in names)


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
LATER_SCHEMAS = _migrations()
"""They lead from one schema version to the next, from version 1 on. No script is ever changed."""
SQL = _load("create", "claim", "complete", "control", "removal", "read", "check")
