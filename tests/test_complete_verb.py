"""exchange, its first half: all that an attempt produced is stored in one transaction, or nothing of it."""

import hashlib
from typing import Any

import attrs
import pytest
from store_kit import PERMANENT, RETRY, RETRYABLE, Bench, jump, run, step

from trio_workflow.model.artifact import ArtifactRef
from trio_workflow.model.outcome import (
    ArtifactWrite,
    Completion,
    Failed,
    Failure,
    LeaseLost,
    Outcome,
    RecordWrite,
    Released,
    Success,
)
from trio_workflow.model.records import StepResult
from trio_workflow.model.status import AttemptOutcome, RunStatus, StepStatus

REF = ArtifactRef(
    id="r/a/big",
    uri="file:big",
    name="big",
    kind="text",
    content_type="text/plain",
    metadata={"k": "v"},
    size=9,
    sha256="00",
)


def artifact(artifact_id: str, **options: Any) -> ArtifactWrite:
    body = artifact_id.encode()
    plain: dict[str, Any] = {
        "id": artifact_id,
        "name": artifact_id,
        "kind": "text",
        "content_type": "text/plain",
        "metadata": {},
        "size": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "body": body,
    }
    return ArtifactWrite(**plain | options)


async def result_of(bench: Bench, step_id: str) -> StepResult:
    found = await bench.store.reads.result("r", step_id)
    assert found is not None
    return found


async def test_a_success_stores_result_records_and_artifacts(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    external = artifact("big.ref.json", name="big.ref.json", body=None, ref=REF, size=9)
    success = Success(
        data='{"x":1}',
        records=(RecordWrite("books", "1", '"one"'), RecordWrite("books", "2", '"two"')),
        artifacts=(artifact("small", metadata={"a": "b"}), external),
    )
    completed = await bench.end((await bench.claim())["a"], success)
    assert list(completed.ended.values()) == [AttemptOutcome.SUCCEEDED]
    assert [(move.run_id, move.status) for move in completed.changes.runs] == [("r", RunStatus.SUCCEEDED)]
    result = await result_of(bench, "a")
    assert result.data == '{"x":1}'
    assert [(record.collection, record.key, record.data) for record in result.records] == [
        ("books", "1", '"one"'),
        ("books", "2", '"two"'),
    ]
    assert next((found.id, found.body, found.metadata) for found in result.artifacts) == (
        "small",
        b"small",
        {"a": "b"},
    )
    inline = await bench.store.reads.artifact("r", "a", "small")
    stored = await bench.store.reads.artifact("r", "a", "big")
    assert inline is not None
    assert inline.body == b"small"
    assert stored is not None
    assert stored.ref == REF
    assert await bench.store.reads.artifact("r", "a", "none") is None
    assert await bench.store.reads.artifact("r", "none", "small") is None
    assert await bench.is_sound()


@pytest.mark.parametrize(
    ("outcome", "status", "ended"),
    [
        (PERMANENT, "failed", AttemptOutcome.FAILED),
        (RETRYABLE, "ready", AttemptOutcome.RETRIED),
        (attrs.evolve(PERMANENT, timed_out=True), "failed", AttemptOutcome.TIMEOUT),
        (attrs.evolve(RETRYABLE, timed_out=True), "ready", AttemptOutcome.TIMEOUT),
        (Released(), "ready", AttemptOutcome.RELEASED),
        (LeaseLost(2), "ready", AttemptOutcome.LEASE_LOST),
        (LeaseLost(1), "failed", AttemptOutcome.LEASE_LOST),
    ],
    ids=["permanent", "retryable", "timeout", "timeout-again", "released", "lost", "lost-too-often"],
)
async def test_an_attempt_ends_with_one_outcome(
    bench: Bench, outcome: Outcome, status: str, ended: AttemptOutcome
) -> None:
    await bench.create(run("r", "a"))
    completed = await bench.end((await bench.claim())["a"], outcome)
    assert list(completed.ended.values()) == [ended]
    assert [(move.outcome, move.status) for move in completed.changes.steps] == [(ended, StepStatus(status))]
    assert await bench.statuses() == {"a": status}
    result = await result_of(bench, "a")
    assert [attempt.outcome for attempt in result.attempts] == [ended]
    assert result.data is None
    assert await bench.is_sound()


async def test_a_failure_is_stored_with_all_its_words(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    failure = Failure(code="c", message="m", details={"a": [1]}, traceback="t")
    await bench.end((await bench.claim())["a"], Failed(failure))
    error = (await result_of(bench, "a")).error
    assert error is not None
    assert (error.code, error.message, error.details, error.traceback) == ("c", "m", {"a": [1]}, "t")
    assert not error.retryable


async def test_attempts_are_charged_until_the_budget_is_used_up(bench: Bench) -> None:
    await bench.create(run("r", step("a", retry=attrs.evolve(RETRY, max_attempts=2))))
    for outcome in (Released(), LeaseLost(9), RETRYABLE, Released()):
        await bench.end((await bench.claim())["a"], outcome)
        assert await bench.statuses() == {"a": "ready"}
        jump(1)
    await bench.end((await bench.claim())["a"], RETRYABLE)
    assert await bench.statuses() == {"a": "failed"}
    assert [attempt.number for attempt in (await result_of(bench, "a")).attempts] == [1, 2, 3, 4, 5]
    assert await bench.is_sound()


async def test_a_retry_waits_out_its_backoff_and_a_release_does_not(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    completed = await bench.end((await bench.claim())["a"], RETRYABLE)
    assert completed.changes.due == bench.now() + 1_000_000
    assert await bench.claim() == {}
    jump(1)
    completed = await bench.end((await bench.claim())["a"], Released())
    assert completed.changes.ready
    assert list(await bench.claim()) == ["a"]


async def test_a_success_after_a_failure_has_no_error(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    await bench.end((await bench.claim())["a"], RETRYABLE)
    jump(1)
    await bench.end((await bench.claim())["a"])
    result = await result_of(bench, "a")
    assert result.error is None
    assert [attempt.error is None for attempt in result.attempts] == [False, True]


# --- fencing ---------------------------------------------------------------------------------------------


async def test_nothing_of_an_attempt_with_a_stale_token_is_stored(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    stale = (await bench.claim())["a"]
    await bench.end(stale, Released())
    fresh = (await bench.claim())["a"]
    success = Success(
        data="1",
        records=(RecordWrite("c", "k", "1"),),
        artifacts=(artifact("x"),),
        emitted=(step("child"),),
    )
    completed = await bench.end(stale, success)
    assert completed.ended == {}
    assert completed.changes.steps == ()
    assert await bench.statuses() == {"a": "running"}
    assert bench.rows("SELECT (SELECT count(*) FROM records), (SELECT count(*) FROM artifacts)") == [(0, 0)]
    assert bench.rows("SELECT token FROM steps") == [(fresh.token,)]
    assert await bench.is_sound()


async def test_a_token_that_lingers_on_a_row_that_does_not_run_is_worth_nothing(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    claim = (await bench.claim())["a"]
    bench.rows("UPDATE steps SET status = 'ready', ready_at = 0")  # with its token, as no verb leaves it
    assert (await bench.end(claim)).ended == {}
    assert await bench.store.holds([(claim.step_key, claim.token)]) == frozenset()
    assert not await bench.store.save(claim.step_key, claim.token, "1")


async def test_a_token_holds_only_for_its_own_step(bench: Bench) -> None:
    await bench.create(run("r", "a", "b"))
    claims = await bench.claim()
    crossed = Completion(claims["a"].step_key, claims["b"].token, Success())
    done = (await bench.store.exchange([crossed], None)).completed
    assert not isinstance(done, Exception)
    assert done.ended == {}
    assert await bench.statuses() == {"a": "running", "b": "running"}


async def test_an_attempt_ends_once_even_when_it_is_offered_twice(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    claim = (await bench.claim())["a"]
    await bench.end_all((claim, Success(data="1")), (claim, Success(data="2")))
    assert (await bench.end(claim, PERMANENT)).ended == {}
    assert (await result_of(bench, "a")).data == "1"
    assert await bench.is_sound()


async def test_a_completion_after_the_expiry_is_accepted_while_the_token_is_there(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    claim = (await bench.claim())["a"]
    jump(1000)
    assert (await bench.end(claim)).ended == {claim.token: AttemptOutcome.SUCCEEDED}


# --- what follows ----------------------------------------------------------------------------------------


async def test_a_failure_reaches_the_required_dependents_and_those_of_theirs(bench: Bench) -> None:
    await bench.create(
        run(
            "r",
            "bad",
            "good",
            step("left", "bad"),
            step("right", "bad good"),
            step("end", "left right"),
            step("after", "end?"),
            step("both", "end? good"),
        )
    )
    claims = await bench.claim()
    completed = await bench.end_all((claims["bad"], PERMANENT), (claims["good"], Success()))
    canceled = {move.step_id for move in completed.changes.steps if move.status is StepStatus.CANCELED}
    assert canceled == {"left", "right", "end"}
    assert await bench.statuses() == {
        "bad": "failed",
        "good": "succeeded",
        "left": "canceled",
        "right": "canceled",
        "end": "canceled",
        "after": "ready",
        "both": "ready",
    }
    causes = bench.rows("SELECT DISTINCT canceled_by FROM steps WHERE status = 'canceled'")
    assert causes == [("bad",)]
    assert await bench.is_sound()
    await bench.finish()
    assert await bench.run_status() == "failed"
    assert await bench.is_sound()


async def test_a_step_that_was_allowed_to_fail_does_not_make_its_run_fail(bench: Bench) -> None:
    await bench.create(run("r", step("a", allow_failure=True), step("b", "a"), step("c", "b?")))
    await bench.finish(outcome=PERMANENT)
    assert await bench.finish() == ["c"]
    assert await bench.run_status() == "succeeded"
    assert bench.rows("SELECT failed, canceled, excused FROM runs") == [(1, 1, 1)]
    assert await bench.is_sound()


async def test_a_failure_that_was_not_allowed_makes_the_run_fail(bench: Bench) -> None:
    await bench.create(run("r", step("a", allow_failure=True), "b"))
    await bench.finish(outcome=PERMANENT)
    assert await bench.run_status() == "failed"


async def test_a_batch_holds_every_kind_of_end_at_once(bench: Bench) -> None:
    await bench.create(
        run("r", *"abcdef", step("all", "a? b? c? d? e? f?"), step("ok", "a b"), step("no", "a c")),
        run("other", "z"),
    )
    claims = await bench.claim()
    outcomes: dict[str, Outcome] = {
        "a": Success(),
        "b": Success(emitted=(step("child", "c?"),)),
        "c": PERMANENT,
        "d": RETRYABLE,
        "e": Released(),
        "f": LeaseLost(1),
        "z": Success(),
    }
    completed = await bench.end_all(*((claims[name], outcome) for name, outcome in outcomes.items()))
    assert [completed.ended[claims[name].token].value for name in outcomes] == [
        "succeeded",
        "succeeded",
        "failed",
        "retried",
        "released",
        "lease_lost",
        "succeeded",
    ]
    assert await bench.statuses() == {
        "a": "succeeded",
        "b": "succeeded",
        "c": "failed",
        "d": "ready",
        "e": "ready",
        "f": "failed",
        "all": "pending",
        "ok": "ready",
        "no": "canceled",
        "child": "ready",
    }
    assert await bench.run_status("other") == "succeeded"
    assert await bench.is_sound()
