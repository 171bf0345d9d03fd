"""cancel_run: a run that goes on is canceled, with all that is open in it."""

import pytest
from store_kit import PERMANENT, Bench, run, step

from trio_workflow.errors import RunNotFoundError
from trio_workflow.model.changes import Changes
from trio_workflow.model.outcome import Success
from trio_workflow.model.status import AttemptOutcome, RunStatus, StepStatus


async def test_whatever_is_open_is_canceled_and_what_has_ended_stays(bench: Bench) -> None:
    await bench.create(run("r", "ok", "bad", "runs", "waits", step("late", delay=9.0), step("x", "waits")))
    claims = await bench.claim(3)
    await bench.end_all((claims["ok"], Success()), (claims["bad"], PERMANENT))
    changes = await bench.store.cancel_run("r")
    assert changes.revoked == (claims["runs"].token,)
    assert {(move.step_id, move.status, move.outcome) for move in changes.steps} == {
        ("runs", StepStatus.CANCELED, AttemptOutcome.CANCELED),
        ("waits", StepStatus.CANCELED, None),
        ("late", StepStatus.CANCELED, None),
        ("x", StepStatus.CANCELED, None),
    }
    assert [(move.run_id, move.status) for move in changes.runs] == [("r", RunStatus.CANCELED)]
    assert await bench.statuses() == {
        "ok": "succeeded",
        "bad": "failed",
        "runs": "canceled",
        "waits": "canceled",
        "late": "canceled",
        "x": "canceled",
    }
    assert await bench.is_sound()


async def test_after_it_nothing_of_the_run_starts_emits_or_succeeds(bench: Bench) -> None:
    await bench.create(run("r", "a", step("b", "a")))
    claim = (await bench.claim())["a"]
    await bench.store.cancel_run("r")
    assert (await bench.end(claim, Success(emitted=(step("c"),)))).ended == {}
    assert await bench.claim() == {}
    assert await bench.statuses() == {"a": "canceled", "b": "canceled"}
    result = await bench.store.reads.result("r", "a")
    assert result is not None
    assert [attempt.outcome for attempt in result.attempts] == [AttemptOutcome.CANCELED]
    assert await bench.is_sound()


async def test_a_run_that_never_started_can_be_canceled(bench: Bench) -> None:
    await bench.create(run("r", "a"), run("other", "b"))
    await bench.store.cancel_run("r")
    assert await bench.run_status() == "canceled"
    assert await bench.run_status("other") == "pending"
    assert list(await bench.claim()) == ["b"]


async def test_an_ended_run_is_left_as_it_is(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    await bench.finish()
    assert await bench.store.cancel_run("r") == Changes()
    assert await bench.run_status() == "succeeded"
    await bench.create(run("again", "a"))
    await bench.store.cancel_run("again")
    assert await bench.store.cancel_run("again") == Changes()


async def test_an_unknown_run_is_refused_by_name(bench: Bench) -> None:
    with pytest.raises(RunNotFoundError, match=r'^run "none" not found$'):
        await bench.store.cancel_run("none")
