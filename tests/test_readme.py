"""The README is true: its samples run and print what it says, and its tables name what there is.

A python block runs as it stands, in virtual time; the blocks of a chapter share their names. In "How to" each
section has an open runtime `rt`. Lines that begin with `#>` are what a block prints. Functions named test_*
are called. A block after `<!-- fragment -->` is an excerpt and does not run.
"""

import ast
import contextlib
import inspect
import io
import re
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from trio.testing import MockClock

import trio_workflow
import trio_workflow.testing
from trio_workflow import (
    Config,
    QueueConfig,
    RetryPolicy,
    Runtime,
    SQLiteStore,
    StepContext,
    StepOpts,
    open_runtime,
)
from trio_workflow.model.event import EventKind
from trio_workflow.model.plan import StepSpec
from trio_workflow.rules.transitions import MOVES
from trio_workflow.testing import open_test_runtime

README = Path(__file__).parent.parent / "README.md"
TEXT = README.read_text(encoding="utf-8")
TOP_LEVEL_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


@attrs.frozen
class Block:
    """A fenced block. line: of its first line of text, from 1."""

    chapter: str
    section: str
    language: str
    line: int
    text: str
    is_fragment: bool

    @property
    def printed(self) -> list[str]:
        """What it says that it prints."""
        return [line.strip()[2:].strip() for line in self.text.splitlines() if line.strip().startswith("#>")]


def read_blocks() -> list[Block]:
    chapter = section = before = ""
    found: list[Block] = []
    lines = enumerate(TEXT.splitlines(), start=1)
    for number, line in lines:
        if line.startswith("## "):
            chapter, section = line[3:], ""
        elif line.startswith("### "):
            section = line[4:]
        elif line.startswith("```"):
            body: list[str] = []
            for _, inner in lines:
                if inner == "```":
                    break
                body.append(inner)
            is_fragment = before == "<!-- fragment -->"
            found.append(Block(chapter, section, line[3:], number + 1, "\n".join(body), is_fragment))
        before = line or before
    return found


BLOCKS = read_blocks()
PYTHON = [block for block in BLOCKS if block.language == "python" and not block.is_fragment]


def cells(heading: str) -> list[list[str]]:
    """The rows of all tables under that heading, without their heads."""
    [part] = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^##+ |\Z)", TEXT, re.M | re.S)
    rows = [line.strip("| \n").split(" | ") for line in part.splitlines() if line.startswith("|")]
    heads = {index - 1 for index, row in enumerate(rows) if set("".join(row)) <= set("-| ")}
    return [row for index, row in enumerate(rows) if index not in heads and index - 1 not in heads]


def names_in(heading: str) -> set[str]:
    """The names that stand in the first column of its tables."""
    return {name for row in cells(heading) for name in re.findall(r"`(?:await )?(\w+)", row[0])}


# Samples


def run_in_virtual_time(function: Callable[..., Any], *args: Any) -> Any:
    return trio.run(function, *args, clock=MockClock(autojump_threshold=0))


async def execute(block: Block, names: dict[str, Any]) -> None:
    """Run a block and compare what it prints."""
    source = "\n" * (block.line - 1) + block.text
    code = compile(source, str(README), "exec", flags=TOP_LEVEL_AWAIT)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        answer = eval(code, names)
        if inspect.iscoroutine(answer):
            await answer
    assert out.getvalue().splitlines() == block.printed, f"the sample at line {block.line}"


SECTIONS = list(dict.fromkeys(block.section for block in PYTHON if block.chapter == "How to"))


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_sample_at_the_top_runs_as_a_program(in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = PYTHON[0]
    assert block.chapter == ""
    in_real_time = trio.run
    monkeypatch.setattr(trio, "run", lambda main: in_real_time(main, clock=MockClock(autojump_threshold=0)))
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(block.text, str(README), "exec"), {"__name__": "__main__"})
    assert out.getvalue().splitlines() == block.printed


def test_the_samples_of_the_how_tos_run_and_print_what_they_say(in_folder: Path) -> None:
    names: dict[str, Any] = {"__name__": "readme"}

    async def main() -> None:
        for section in SECTIONS:
            async with open_test_runtime(max_workers=4, default_queue=QueueConfig(max_workers=4)) as rt:
                names["rt"] = rt
                for block in PYTHON:
                    if (block.chapter, block.section) == ("How to", section):
                        await execute(block, names)
                assert await rt.check() == []

    run_in_virtual_time(main)
    tests = {name: value for name, value in names.items() if name.startswith("test_")}
    assert len(tests) == 6
    for test in tests.values():
        call_test(test, in_folder)


def call_test(test: Callable[..., Any], folder: Path) -> None:
    fixtures: Mapping[str, Any] = {"autojump_clock": None, "tmp_path": folder}
    args = [fixtures[name] for name in inspect.signature(test).parameters]
    if inspect.iscoroutinefunction(test):
        run_in_virtual_time(test, *args)
    else:
        test(*args)


OTHERS = [block for block in PYTHON[1:] if block.chapter != "How to"]


@pytest.mark.parametrize("block", OTHERS, ids=lambda block: f"line{block.line}")
def test_the_other_samples_run_beside_an_open_runtime(block: Block, in_folder: Path) -> None:
    async def main() -> None:
        store = SQLiteStore("var/engine.db")
        async with open_runtime(Config(store=store)) as rt:
            await execute(block, {"rt": rt})

    run_in_virtual_time(main)


def test_a_backup_by_sqlite_is_a_store_with_a_log_of_its_own(in_folder: Path) -> None:
    async def main() -> None:
        async with open_runtime(Config(store=SQLiteStore("engine.db"))) as rt:
            with contextlib.closing(sqlite3.connect("engine.db")) as conn:
                conn.execute("VACUUM INTO 'copy.db'")
            assert await rt.check() == []
        async with open_runtime(Config(store=SQLiteStore("copy.db"))) as rt:
            assert in_folder.joinpath("copy.db-wal").exists()
            assert await rt.check() == []

    run_in_virtual_time(main)


# What stands where


def test_start_has_two_sh_blocks_of_one_line_and_no_other_chapter_has_any() -> None:
    shells = [block for block in BLOCKS if block.language == "sh"]
    assert [block.chapter for block in shells] == ["Start", "Start"]
    assert ["\n" in block.text for block in shells] == [False, False]
    assert "examples/worker.py" in shells[0].text
    assert "pytest" in shells[1].text


def test_every_public_name_is_in_the_reference() -> None:
    reference = TEXT[TEXT.index("\n## Reference\n") :]
    for module in (trio_workflow, trio_workflow.testing):
        missing = [name for name in module.__all__ if not re.search(rf"`{name}\b", reference)]
        assert missing == []


def test_the_config_table_has_every_field_with_its_default() -> None:
    shown = {row[0].strip("`"): row[1] for row in cells("Config")}
    assert list(shown) == [field.name for field in attrs.fields(Config)]
    assert shown.pop("store") == "required"
    for field in attrs.fields(Config):
        if field.name in shown:
            assert evaluate(shown[field.name]) == default_of(field), field.name


@pytest.mark.parametrize("kind", [QueueConfig, RetryPolicy])
def test_the_policy_tables_have_every_field_with_its_default(kind: type[attrs.AttrsInstance]) -> None:
    shown = {row[0].strip("`"): row[1] for row in cells(kind.__name__)}
    expected = {field.name: default_of(field) for field in attrs.fields(kind)}
    assert {name: evaluate(default) for name, default in shown.items()} == expected


def evaluate(cell: str) -> Any:
    return eval(cell.strip("`"), vars(trio_workflow))


def default_of(field: "attrs.Attribute[Any]") -> Any:
    default: Any = field.default
    return default.factory() if isinstance(default, attrs.Factory) else default  # type: ignore[arg-type]  # attrs types it as a union


def test_the_step_options_are_those_there_are_with_their_defaults() -> None:
    shown = {row[0].strip("`"): row[1] for row in cells("Step options")}
    assert list(shown) == list(StepOpts.__annotations__)
    plain = {field.name: default_of(field) for field in attrs.fields(StepSpec)}
    for name in (
        "queue",
        "depends_on",
        "dedup_key",
        "timeout",
        "delay",
        "priority",
        "allow_failure",
        "metadata",
    ):
        assert evaluate(shown[name]) == plain[name], name


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("Runtime", Runtime),
        ("StepContext", StepContext),
        ("RunBuilder", trio_workflow.RunBuilder),
    ],
)
def test_the_tables_have_every_public_member(heading: str, kind: type) -> None:
    engine_only = {"close", "product", "stored", "take_progress", "put_back_progress", "finish", "abandon"}
    members = {name for name in vars(kind) if not name.startswith("_")} - engine_only
    assert members - names_in(heading) == set()


def test_the_table_of_records_has_every_field() -> None:
    shown = {row[0].strip("`"): set(re.findall(r"`(\w+)", row[1])) for row in cells("Records")}
    for name, fields in shown.items():
        kind = getattr(trio_workflow, name)
        assert {field.name for field in attrs.fields(kind)} - fields == set(), name


def test_the_table_of_events_has_every_kind() -> None:
    assert names_in("Events") >= set(EventKind.__args__)  # type: ignore[attr-defined]  # typing knows it, its stubs do not


def test_the_table_of_errors_has_every_error() -> None:
    errors = {
        name
        for name in trio_workflow.__all__
        if inspect.isclass(value := getattr(trio_workflow, name)) and issubclass(value, Exception)
    }
    assert names_in("Errors") >= errors


def test_the_picture_of_states_is_the_table_of_moves() -> None:
    [picture] = [block.text for block in BLOCKS if block.language == "mermaid"]
    drawn = {tuple(found) for found in re.findall(r"(\w+) --> (\w+): (\w+)$", picture, re.M)}
    assert drawn == {(before.value, after.value, event.value) for (before, event), after in MOVES.items()}


def test_links_and_file_names_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.*)$", TEXT, re.M)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) - anchors == set()
    files = set(re.findall(r"`((?:examples|tests|trio_workflow|\.ci)/[\w./]*)`", TEXT))
    assert [file for file in sorted(files) if not (README.parent / file).exists()] == []


def test_names_of_trio_exist() -> None:
    for path in set(re.findall(r"`(?:await )?trio\.([\w.]+)", TEXT)):
        value: Any = trio
        for name in path.split("."):
            value = getattr(value, name)
