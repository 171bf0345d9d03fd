"""The short examples: run as their reader would run them, and compared with what they are meant to print."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

from trio.testing import MockClock

EXAMPLES = Path(__file__).parent.parent / "examples"

BOOK = """\
The reader may skip this.

Chapter 1
The lighthouse was dark. The keeper of the lighthouse slept.

# Morning
The keeper found the harbour empty: no boats, no lighthouse.

Afterword
*********
A keeper keeps.
"""


def run_python(*args: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run Python in a folder, with every warning an error."""
    environment = {**os.environ, "PYTHONWARNINGS": "error", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, *map(str, args)]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=30,
        check=False,
    )


def lines_of(example: str, *args: str | Path, folder: Path) -> list[str]:
    done = run_python(EXAMPLES / example, *args, folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_hello_executes_its_steps_once_however_often_it_is_run(tmp_path: Path) -> None:
    happened = [
        "run hello-1 succeeded",
        "step greet succeeded on attempt 1: 'Hello, world!'",
        "step measure succeeded on attempt 1: 13",
    ]
    assert lines_of("hello.py", "state", folder=tmp_path) == [
        "executing greet",
        "executing measure",
        *happened,
    ]
    assert lines_of("hello.py", "state", folder=tmp_path) == happened


def test_a_service_starts_a_run_once_answers_for_it_and_drains(tmp_path: Path) -> None:
    listening, *lines = lines_of("embed_service.py", "--demo", folder=tmp_path)
    assert listening.startswith("listening on port ")
    assert lines == [
        "start a hello  -> started a",
        "start a hello  -> started a",
        'start a other  -> error: run "a" already exists with another input',
        'wait a         -> succeeded "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"',
        "state b        -> unknown",
        "stop           -> error: send 'start ID TEXT', 'state ID' or 'wait ID'",
        "draining",
    ]


def test_a_book_is_counted_chapter_by_chapter(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(BOOK, encoding="utf-8")
    assert lines_of("book_pipeline.py", "book.txt", folder=tmp_path) == [
        "the longest chapters, in words",
        "     10  Chapter 1",
        "     10  Morning",
        "      5  (beginning)",
        "      3  Afterword",
        "the most frequent words of six letters or more",
        "      3  keeper",
        "      3  lighthouse",
        "      1  harbour",
        "      1  reader",
        "report.tsv has 4 lines",
    ]


def test_without_a_file_the_help_topics_are_the_book(tmp_path: Path) -> None:
    lines = lines_of("book_pipeline.py", folder=tmp_path)
    assert len(lines) == 13
    assert any(line.endswith("  Special method names") for line in lines)


def test_a_book_that_cannot_be_read_is_a_failed_step(tmp_path: Path) -> None:
    done = run_python(EXAMPLES / "book_pipeline.py", "no-such.txt", folder=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("step split failed: executor_error: FileNotFoundError")


def test_a_failed_run_is_retried_and_another_one_canceled(tmp_path: Path) -> None:
    assert lines_of("operate.py", folder=tmp_path) == [
        "failed: run today is failed",
        "  step write is failed",
        "    attempt 1 retried: no_folder",
        "    attempt 2 failed: no_folder",
        "  step announce is canceled, because of write",
        "retried: run today is succeeded",
        "  step write is succeeded",
        "    attempt 1 retried: no_folder",
        "    attempt 2 failed: no_folder",
        "    attempt 3 succeeded",
        "  step announce is succeeded",
        "    attempt 1 succeeded",
        "queue disk: 1 ready, 0 running",
        "canceled: run tomorrow is canceled",
        "  step write is canceled",
        "  step announce is canceled",
        "all runs: tomorrow canceled, today succeeded",
        "violations of the engine's invariants: []",
        "what this runtime did to steps:",
        "  step_leased today/write attempt 1",
        "  step_retried today/write attempt 1: no_folder",
        "  step_leased today/write attempt 2",
        "  step_failed today/write attempt 2: no_folder",
        "  step_canceled today/announce attempt 0",
        "  step_leased today/write attempt 3",
        "  step_succeeded today/write attempt 3",
        "  step_leased today/announce attempt 1",
        "  step_succeeded today/announce attempt 1",
        "  step_canceled tomorrow/write attempt 0",
        "  step_canceled tomorrow/announce attempt 0",
    ]


def test_hours_of_backoff_pass_in_virtual_time(tmp_path: Path) -> None:
    virtual, real = lines_of("virtual_time.py", folder=tmp_path)
    assert virtual == "virtual time: 8.07 hours"
    assert real.startswith("real time: ")


async def test_the_test_in_virtual_time_runs_under_pytest_trio(autojump_clock: MockClock) -> None:
    example = runpy.run_path(str(EXAMPLES / "virtual_time.py"))
    await example["test_a_parcel_is_handed_over_after_hours_of_backoff"](autojump_clock)
    assert autojump_clock.current_time() > 8 * 3600
