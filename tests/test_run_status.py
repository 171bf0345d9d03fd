"""The status of a run follows from its counters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_workflow.model.status import RunStatus, StepStatus
from trio_workflow.rules.run_status import Tally, run_status

counts = st.integers(0, 3)
tallies = st.builds(
    Tally, pending=counts, ready=counts, running=counts, succeeded=counts, failed=counts, canceled=counts
)


@pytest.mark.parametrize(
    ("tally", "started", "status"),
    [
        (Tally(ready=1), False, RunStatus.PENDING),
        (Tally(pending=1, ready=1), False, RunStatus.PENDING),
        (Tally(running=1), True, RunStatus.RUNNING),
        (Tally(ready=1, succeeded=5), True, RunStatus.RUNNING),
        (Tally(pending=1, failed=1), True, RunStatus.RUNNING),
        (Tally(succeeded=2), True, RunStatus.SUCCEEDED),
        (Tally(failed=1), True, RunStatus.FAILED),
        (Tally(succeeded=2, failed=1, canceled=3), True, RunStatus.FAILED),
        (Tally(failed=1, excused=1), True, RunStatus.SUCCEEDED),
        (Tally(failed=2, excused=1), True, RunStatus.FAILED),
        (Tally(succeeded=1, failed=1, canceled=2, excused=1), True, RunStatus.SUCCEEDED),
    ],
    ids=repr,
)
def test_the_status_follows_from_the_tally(tally: Tally, started: bool, status: RunStatus) -> None:
    assert run_status(tally, canceled=False, started=started) is status


@given(tallies, st.booleans())
def test_a_canceled_run_is_canceled_whatever_its_tally(tally: Tally, started: bool) -> None:
    assert run_status(tally, canceled=True, started=started) is RunStatus.CANCELED


@given(tallies, st.booleans())
def test_a_run_has_ended_when_none_of_its_steps_is_open(tally: Tally, started: bool) -> None:
    assert run_status(tally, canceled=False, started=started).is_final == (tally.open == 0)


@given(st.lists(st.sampled_from(StepStatus)))
def test_a_tally_counts_what_was_added_and_open_is_what_has_not_ended(statuses: list[StepStatus]) -> None:
    tally = Tally()
    for status in statuses:
        tally.add(status, 1)
    assert [getattr(tally, status) for status in StepStatus] == [statuses.count(s) for s in StepStatus]
    assert tally.open == sum(not status.is_final for status in statuses)
