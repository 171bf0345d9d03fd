"""What was acknowledged, and which states are a prefix of it."""

from .acknowledged import FOREVER, NEVER, Operation, RunHistory, acknowledged
from .events import Mark
from .timeline import contradiction, observe

FIRST = RunHistory(start=Operation(10, 20), end=Operation(30, 40), delete=Operation(70, 80))
SECOND = RunHistory(start=Operation(50, 60))
NOW = 100


def wrong(first: str | None, second: str | None, *, is_full: bool, moment: int = NOW) -> str | None:
    """Of a state in which the two runs have these statuses."""
    observations = [
        *observe("1", FIRST, first, has_ended=first == "succeeded"),
        *observe("2", SECOND, second, has_ended=second == "succeeded"),
    ]
    return contradiction(observations, moment, is_full=is_full)


def test_full_holds_all_that_was_acknowledged() -> None:
    assert wrong(None, "running", is_full=True) is None
    assert wrong("succeeded", "running", is_full=True) == (
        "run 1 is there, against what was acknowledged (it may be so at ((10, 80),))"
    )
    assert "run 2 is not there" in (wrong(None, None, is_full=True) or "")


def test_full_may_hold_what_was_under_way() -> None:
    assert wrong(None, "running", is_full=True, moment=75) is None
    assert wrong("succeeded", "running", is_full=True, moment=75) is None
    assert wrong("succeeded", None, is_full=True, moment=55) is None
    assert wrong("running", None, is_full=True, moment=45) is not None
    assert wrong("running", None, is_full=True, moment=35) is None


def test_full_never_lacks_a_run_whose_deletion_had_not_begun() -> None:
    assert wrong(None, "running", is_full=True, moment=65) == (
        "run 1 is not there, against what was acknowledged (it may be so at ((0, 20), (70, inf)))"
    )


def test_normal_holds_a_prefix() -> None:
    assert wrong(None, None, is_full=False) is None
    assert wrong("running", None, is_full=False) is None
    assert wrong("succeeded", None, is_full=False) is None
    assert wrong("succeeded", "running", is_full=False) is None
    assert wrong(None, "running", is_full=False) is None


def test_normal_never_lacks_what_came_before_something_it_holds() -> None:
    assert wrong("running", "running", is_full=False) == (
        "no prefix of what was acknowledged: run 2 is there, and run 1 is running"
    )


def test_normal_holds_nothing_that_comes_later() -> None:
    assert wrong(None, "succeeded", is_full=False) is not None
    assert wrong("succeeded", None, is_full=False, moment=25) is not None


def test_marks_are_operations_and_the_first_begin_counts() -> None:
    lines = [
        ("begin", "open"),
        ("done", "open"),
        ("begin", "note", "1"),
        ("begin", "note", "1"),
        ("done", "note", "1"),
        ("done", "note", "1"),
        ("begin", "delete", "1", "2"),
        ("begin", "open"),
    ]
    marks = [
        Mark(begin=at, end=at, line={"mark": mark, "operation": operation, "runs": runs})
        for at, (mark, operation, *runs) in enumerate(lines)
    ]
    found = acknowledged(marks)
    assert found.open == Operation(0, 1)
    assert found.runs == {
        "1": RunHistory(note=Operation(2, 4), delete=Operation(6)),
        "2": RunHistory(delete=Operation(6)),
    }
    assert NEVER.begin == FOREVER
