"""A commit that moves more steps than any stream has room for: the last are told, the others only counted."""

from typing import Any

import pytest

from trio_workflow.clock import WallClock
from trio_workflow.model.changes import Changes, RunMove, StepMove
from trio_workflow.model.event import Event
from trio_workflow.model.status import AttemptOutcome, RunStatus, StepStatus
from trio_workflow.runtime import events

CANCELED, READY = StepStatus.CANCELED, StepStatus.READY
END = RunMove("r", "p", "n", RunStatus.CANCELED)


def move(name: str, status: StepStatus = CANCELED, outcome: AttemptOutcome | None = None) -> StepMove:
    return StepMove("r", name, "p", "q", "k", 1, status, outcome)


def flood(count: int) -> Changes:
    return Changes(steps=tuple(move(f"s{number}") for number in range(count)), runs=(END,))


@pytest.fixture
def board() -> events.EventBoard:
    return events.EventBoard("w", WallClock())


def waiting(stream: events.EventStream) -> list[str | None]:
    return [event.step_id for event in stream._waiting]


async def test_the_last_are_told_and_the_lost_are_counted(board: events.EventBoard) -> None:
    with board.stream(4) as wide, board.stream(2) as narrow:
        board.changed(flood(2))
        board.changed(flood(100))
        assert waiting(wide) == ["s97", "s98", "s99", None]
        assert waiting(narrow) == ["s99", None]
        assert (wide.dropped, narrow.dropped) == (3 + 101 - 4, 3 + 101 - 2)


async def test_only_what_can_be_told_becomes_an_event(
    board: events.EventBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    def counted(**fields: Any) -> Event:
        made.append(fields)
        return Event(**fields)

    monkeypatch.setattr(events, "Event", counted)
    with board.stream(4), board.stream(2):
        board.changed(flood(1000))
    assert len(made) == 4 + 1


async def test_moves_that_are_no_events_take_no_room(board: events.EventBoard) -> None:
    """A step that becomes ready again by itself is not told of; one that lost its lease is told once."""
    silent = [move(f"x{number}", READY) for number in range(50)]
    lost = move("lost", READY, AttemptOutcome.LEASE_LOST)
    with board.stream(3) as stream:
        board.changed(Changes(steps=(move("a"), move("b"), lost, move("c"), *silent)))
        assert waiting(stream) == ["b", "lost", "c"]
        assert stream.dropped == 1
