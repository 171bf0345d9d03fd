"""retry_step and retry_run: a failed step is ready again, and what was canceled because of it pending."""

import pytest
from store_kit import LEASE, PERMANENT, RETRYABLE, SECOND, Bench, jump, run, step

from trio_workflow.errors import RunNotFoundError, RunStateError, StepNotFoundError, StepStateError
from trio_workflow.model.outcome import Success
from trio_workflow.model.status import RunStatus

DIAMOND = (step("left", "bad"), step("right", "bad"), step("end", "left right"))


async def cause_of(bench: Bench, step_id: str) -> str | None:
    found = await bench.store.reads.step("r", step_id)
    assert found is not None
    return found.canceled_by


async def end_each(bench: Bench, *failing: str) -> None:
    """Claim what is ready; those named fail, the others succeed."""
    claims = await bench.claim()
    await bench.end_all(
        *((claim, PERMANENT if name in failing else Success()) for name, claim in claims.items())
    )


async def test_a_failed_step_is_ready_and_its_diamond_is_pending_again(bench: Bench) -> None:
    await bench.create(run("r", "bad", *DIAMOND))
    await end_each(bench, "bad")
    assert await bench.run_status() == "failed"
    changes = await bench.store.retry_step("r", "bad")
    assert changes.ready
    assert [(move.run_id, move.status) for move in changes.runs] == [("r", RunStatus.RUNNING)]
    assert await bench.statuses() == {"bad": "ready", "left": "pending", "right": "pending", "end": "pending"}
    assert await bench.is_sound()
    assert [await bench.finish() for _ in range(3)] == [["bad"], ["left", "right"], ["end"]]
    assert await bench.run_status() == "succeeded"
    assert await bench.is_sound()


async def test_what_another_failure_keeps_canceled_gets_that_failure_as_its_cause(bench: Bench) -> None:
    await bench.create(run("r", "one", "two", step("x", "one two"), step("y", "x"), step("z", "one")))
    await end_each(bench, "one", "two")
    assert {await cause_of(bench, name) for name in "xyz"} == {"one"}
    await bench.store.retry_step("r", "one")
    assert await bench.statuses() == {
        "one": "ready",
        "two": "failed",
        "x": "canceled",
        "y": "canceled",
        "z": "pending",
    }
    assert {await cause_of(bench, name) for name in "xy"} == {"two"}
    assert await bench.is_sound()
    await bench.store.retry_step("r", "two")
    assert await bench.statuses() == {
        "one": "ready",
        "two": "ready",
        "x": "pending",
        "y": "pending",
        "z": "pending",
    }
    assert await cause_of(bench, "x") is None
    assert await bench.is_sound()


async def test_the_cause_may_lie_behind_several_canceled_steps(bench: Bench) -> None:
    await bench.create(
        run("r", "one", "two", step("a", "one"), step("b", "two"), step("x", "a b"), step("y", "x"))
    )
    await end_each(bench, "one", "two")
    await bench.store.retry_step("r", "one")
    assert (await bench.statuses())["a"] == "pending"
    assert {await cause_of(bench, name) for name in "bxy"} == {"two"}
    assert await bench.is_sound()


async def test_retrying_the_second_failure_leaves_the_first_as_the_cause(bench: Bench) -> None:
    await bench.create(run("r", "one", "two", step("x", "one two")))
    await end_each(bench, "one", "two")
    await bench.store.retry_step("r", "two")
    assert await cause_of(bench, "x") == "one"
    assert (await bench.statuses())["x"] == "canceled"
    assert await bench.is_sound()


async def test_pending_steps_that_only_needed_it_to_end_wait_for_it_again(bench: Bench) -> None:
    await bench.create(run("r", "bad", "slow", step("x", "bad? slow"), step("y", "bad?")))
    claims = await bench.claim()
    await bench.end(claims["bad"], PERMANENT)
    await bench.store.retry_step("r", "bad")
    assert await bench.statuses() == {"bad": "ready", "slow": "running", "x": "pending", "y": "ready"}
    await bench.end(claims["slow"])
    assert (await bench.statuses())["x"] == "pending"
    assert await bench.is_sound()
    await bench.finish()
    assert await bench.finish() == ["x"]
    assert await bench.is_sound()


async def test_pending_steps_wait_again_for_what_is_pending_again(bench: Bench) -> None:
    await bench.create(run("r", "bad", "slow", step("dead", "bad"), step("x", "dead? slow")))
    claims = await bench.claim()
    await bench.end(claims["bad"], PERMANENT)
    await bench.store.retry_step("r", "bad")
    await bench.end(claims["slow"])
    assert await bench.statuses() == {
        "bad": "ready",
        "slow": "succeeded",
        "dead": "pending",
        "x": "pending",
    }
    assert await bench.is_sound()


async def test_a_revived_step_counts_what_ended_meanwhile(bench: Bench) -> None:
    await bench.create(run("r", "bad", "slow", "other", step("x", "bad slow other?")))
    claims = await bench.claim()
    await bench.end(claims["bad"], PERMANENT)
    await bench.end(claims["slow"])
    await bench.store.retry_step("r", "bad")
    assert bench.rows("SELECT unmet FROM steps WHERE id = 'x'") == [(2,)]
    await bench.end(claims["other"], PERMANENT)
    await bench.finish()
    assert await bench.finish() == ["x"]
    assert await bench.is_sound()


async def test_a_retried_step_has_a_fresh_budget_and_goes_on_counting_attempts(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    for _ in range(3):
        await bench.end((await bench.claim())["a"], RETRYABLE)
        jump(1)
    assert await bench.statuses() == {"a": "failed"}
    await bench.store.retry_step("r", "a")
    for attempt in (4, 5):
        claim = (await bench.claim())["a"]
        assert claim.step.attempt == attempt
        await bench.end(claim, RETRYABLE)
        assert await bench.statuses() == {"a": "ready"}
        jump(1)
    assert await bench.is_sound()


async def test_a_retried_step_may_lose_as_many_leases_as_at_first(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    await bench.claim()
    jump(LEASE / SECOND)
    await bench.ask(0, max_lost=1)
    await bench.store.retry_step("r", "a")
    await bench.claim()
    jump(LEASE / SECOND)
    await bench.ask(0, max_lost=2)
    assert await bench.statuses() == {"a": "ready"}


async def test_a_retried_step_that_was_allowed_to_fail_is_counted_right(bench: Bench) -> None:
    await bench.create(run("r", step("a", allow_failure=True), step("b", "a")))
    await bench.finish(outcome=PERMANENT)
    assert await bench.run_status() == "succeeded"
    await bench.store.retry_step("r", "a")
    assert bench.rows("SELECT status, failed, excused, ready FROM runs") == [("running", 0, 0, 1)]
    assert await bench.is_sound()
    await bench.finish(outcome=PERMANENT)
    assert bench.rows("SELECT status, failed, excused FROM runs") == [("succeeded", 1, 1)]
    assert await bench.is_sound()


async def test_retry_run_does_it_for_every_failed_step(bench: Bench) -> None:
    await bench.create(run("r", "one", "two", "ok", step("x", "one two"), step("y", "x?")))
    await end_each(bench, "one", "two")
    await end_each(bench)
    await bench.store.retry_run("r")
    assert await bench.statuses() == {
        "one": "ready",
        "two": "ready",
        "ok": "succeeded",
        "x": "pending",
        "y": "succeeded",
    }
    assert await bench.is_sound()


async def test_retry_run_leaves_a_run_without_failures_as_it_is(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    await bench.finish()
    changes = await bench.store.retry_run("r")
    assert changes.runs == ()
    assert await bench.run_status() == "succeeded"


async def test_what_is_not_there_or_has_not_failed_is_refused_by_name(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    with pytest.raises(RunNotFoundError, match=r'^run "none" not found$'):
        await bench.store.retry_step("none", "a")
    with pytest.raises(RunNotFoundError, match=r'^run "none" not found$'):
        await bench.store.retry_run("none")
    with pytest.raises(StepNotFoundError, match=r'^run "r" has no step "b"$'):
        await bench.store.retry_step("r", "b")
    with pytest.raises(StepStateError, match=r'^step "a" of run "r" is ready, not failed$'):
        await bench.store.retry_step("r", "a")


async def test_nothing_of_a_canceled_run_is_retried(bench: Bench) -> None:
    await bench.create(run("r", "a", "b"))
    await bench.end((await bench.claim(1))["a"], PERMANENT)
    await bench.store.cancel_run("r")
    with pytest.raises(RunStateError, match=r'^run "r" is canceled: its steps cannot be retried$'):
        await bench.store.retry_step("r", "a")
    with pytest.raises(RunStateError):
        await bench.store.retry_run("r")
    assert await bench.is_sound()
