"""The table of legal moves of a step."""

from itertools import product

import pytest

from trio_workflow.errors import StepStateError
from trio_workflow.model.status import StepStatus
from trio_workflow.rules.transitions import MOVES, StepEvent, after, is_legal

S, E = StepStatus, StepEvent


@pytest.mark.parametrize(("status", "event"), list(product(S, E)), ids=str)
def test_a_move_is_in_the_table_or_refused(status: StepStatus, event: StepEvent) -> None:
    assert is_legal(status, event) == ((status, event) in MOVES)
    if is_legal(status, event):
        assert after(status, event) is MOVES[status, event]
    else:
        with pytest.raises(StepStateError, match=f"^a step that is {status} cannot {event}$"):
            after(status, event)


def test_every_event_has_a_move() -> None:
    assert {event for _, event in MOVES} == set(E)


def test_succeeded_is_final_for_good() -> None:
    assert not [event for status, event in MOVES if status is S.SUCCEEDED]


def test_failed_and_canceled_are_left_by_an_operator_alone() -> None:
    assert {event for status, event in MOVES if status is S.FAILED} == {E.REOPEN}
    assert {event for status, event in MOVES if status is S.CANCELED} == {E.REVIVE}


def test_a_step_runs_only_by_a_claim_of_a_ready_one() -> None:
    assert [move for move, to in MOVES.items() if to is S.RUNNING] == [(S.READY, E.CLAIM)]


def test_a_step_succeeds_and_fails_only_while_it_runs() -> None:
    assert {status for (status, _), to in MOVES.items() if to in (S.SUCCEEDED, S.FAILED)} == {S.RUNNING}


def test_whatever_is_open_can_be_canceled_and_nothing_else() -> None:
    assert {status for status, event in MOVES if event is E.CANCEL} == {s for s in S if not s.is_final}


def test_from_every_open_status_an_end_can_be_reached() -> None:
    ends = {status for status in S if status.is_final}
    while more := {status for (status, _), to in MOVES.items() if to in ends} - ends:
        ends |= more
    assert ends == set(S)
