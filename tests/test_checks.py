"""check(): every invariant can be seen to be broken, by rows that are changed behind the store's back."""

import hashlib

import attrs
import pytest
from store_kit import PERMANENT, Bench, run, step

from trio_workflow.model.artifact import ArtifactRef
from trio_workflow.model.outcome import ArtifactWrite, RecordWrite, Success
from trio_workflow.model.policy import QueueConfig
from trio_workflow.store.sqlite.check import CHECKS, SHOWN

ATTEMPT = "INSERT INTO attempt_artifacts (run_key, step_key, id, uri, ref) SELECT run_key,"
OF_OK = "FROM steps WHERE id = 'ok'"
BROKEN = [
    ("no step is lost", "UPDATE steps SET unmet = 2 WHERE id = 'waits'", "step r/waits"),
    ("no step is lost", "UPDATE steps SET unmet = 0 WHERE id = 'waits'", "step r/waits"),
    ("no step is lost", "UPDATE steps SET unmet = 2 WHERE id = 'after'", "step r/after"),
    ("lease data", "UPDATE steps SET token = NULL WHERE id = 'runs'", "step r/runs"),
    ("lease data", "UPDATE steps SET token = 'x' WHERE id = 'due'", "step r/due"),
    ("lease data", "UPDATE steps SET expires_at = NULL WHERE id = 'runs'", "step r/runs"),
    ("lease data", "UPDATE steps SET worker_id = 'w' WHERE id = 'ok'", "step r/ok"),
    ("lease data", "UPDATE steps SET acquired_at = NULL WHERE id = 'runs'", "step r/runs"),
    ("one lease per token", "UPDATE steps SET token = 'same' WHERE status = 'running'", "token of step runs"),
    ("attempt numbers", "UPDATE steps SET attempt = 2 WHERE id = 'runs'", "step r/runs"),
    ("attempt numbers", "UPDATE attempts SET number = 7 WHERE step_key = (KEY)", "step r/runs"),
    ("attempt numbers", "DELETE FROM attempts WHERE step_key = (KEY)", "step r/runs"),
    ("attempt ends", "UPDATE steps SET status = 'ready' WHERE id = 'runs'", "attempt 1 of step r/runs"),
    ("attempt ends", "UPDATE attempts SET outcome = 'failed' WHERE step_key = (KEY)", "step r/runs"),
    ("one success", "UPDATE steps SET status = 'failed' WHERE id = 'ok'", "step r/ok"),
    ("one success", "UPDATE attempts SET outcome = 'failed' WHERE outcome = 'succeeded'", "step r/ok"),
    (
        "one success",
        "INSERT INTO attempts SELECT step_key, 2, 'w', 0, 0, 'succeeded', NULL FROM steps WHERE id = 'ok'",
        "step r/ok",
    ),
    ("started after dependencies", "UPDATE steps SET status = 'ready' WHERE id = 'waits'", "step r/waits"),
    ("started after dependencies", "UPDATE steps SET status = 'running' WHERE id = 'dead'", "step r/dead"),
    ("failure reaches dependents", "UPDATE steps SET status = 'pending' WHERE id = 'dead'", "step r/dead"),
    ("canceled has a cause", "UPDATE steps SET canceled_by = NULL WHERE id = 'dead'", "step r/dead"),
    ("canceled has a cause", "UPDATE steps SET canceled_by = 'ok' WHERE id = 'dead'", "step r/dead"),
    ("canceled has a cause", "UPDATE steps SET status = 'canceled' WHERE id = 'due'", "step r/due"),
    *(
        ("counters", f"UPDATE runs SET {counter} = {counter} + 1", "run r")
        for counter in ("pending", "ready", "running", "succeeded", "failed", "canceled", "excused")
    ),
    ("run status", "UPDATE runs SET status = 'succeeded'", "run r"),
    ("run status", "UPDATE runs SET status = 'failed'", "run r"),
    ("run status", "UPDATE runs SET status = 'canceled'", "run r"),
    ("run status", "UPDATE runs SET started_at = NULL", "run r"),
    ("queue limits", "UPDATE queues SET max_workers = 1 WHERE queue = 'default'", "queue default"),
    ("products of success", "UPDATE results SET step_key = (KEY)", "step r/runs"),
    ("products of success", "UPDATE records SET step_key = (KEY)", "step r/runs"),
    ("products of success", "UPDATE artifacts SET step_key = (KEY)", "step r/runs"),
    ("emitted exist", "DELETE FROM steps WHERE id = 'child'", "step r/ok"),
    ("artifact sizes", "UPDATE artifacts SET size = 2 WHERE id = 'x'", "artifact x"),
    ("artifact bytes", "UPDATE artifacts SET body = x'00' WHERE id = 'x'", "artifact x"),
    (
        "removals name no artifact",
        "INSERT INTO artifact_removals (uri, ref) SELECT ref ->> '$.uri', ref FROM artifacts WHERE id = 'y'",
        "removal of file:y",
    ),
    ("attempt artifacts", f"{ATTEMPT} 77, 'z', 'u', '{{}}' FROM steps LIMIT 1", "artifact z of an attempt"),
    ("attempt artifacts", f"{ATTEMPT} step_key, 'z', 'u', '{{}}' {OF_OK}", "artifact z of an attempt"),
]


async def prepared(bench: Bench) -> None:
    """A run with a step in every status, and all that a step can produce."""
    await bench.store.configure_queues({"default": QueueConfig(9)})
    waiting = (step("dead", "bad"), step("waits", "runs"), step("after", "bad? runs"), step("due", kind="o"))
    await bench.create(run("r", "ok", "bad", "runs", "too", *waiting))
    claims = await bench.claim()
    body = b"x"
    artifact = ArtifactWrite(
        id="x",
        name="x",
        kind="t",
        content_type="t",
        metadata={},
        size=1,
        sha256=hashlib.sha256(body).hexdigest(),
        body=body,
    )
    plain = {"id": "y", "name": "y", "kind": "t", "content_type": "t", "sha256": artifact.sha256}
    ref = ArtifactRef(**plain, uri="file:y", metadata={}, size=1)
    products = Success(
        data="1",
        records=(RecordWrite("c", "k", "1"),),
        artifacts=(artifact, attrs.evolve(artifact, id="y", name="y", body=None, ref=ref)),
        emitted=(step("child", kind="o"),),
    )
    await bench.end_all((claims["ok"], products), (claims["bad"], PERMANENT))
    assert await bench.is_sound()


@pytest.mark.parametrize(("invariant", "sql", "subject"), BROKEN, ids=lambda value: str(value)[:60])
async def test_a_broken_invariant_is_named(bench: Bench, invariant: str, sql: str, subject: str) -> None:
    await prepared(bench)
    bench.rows(sql.replace("(KEY)", "(SELECT step_key FROM steps WHERE id = 'runs')"))
    found = [violation for violation in await bench.store.reads.check() if violation.invariant == invariant]
    assert subject in [violation.subject for violation in found]
    assert all(violation.message for violation in found)


def test_every_check_is_seen_to_fire() -> None:
    fired = {invariant for invariant, _, _ in BROKEN}
    assert fired == {name.removeprefix("check_").replace("_", " ") for name in CHECKS} | {"artifact bytes"}


async def test_an_ended_run_that_says_it_goes_on_is_named(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    await bench.finish()
    for status in ("running", "failed", "pending"):
        bench.rows("UPDATE runs SET status = ?", status)
        assert [found.invariant for found in await bench.store.reads.check()] == ["run status"]


async def test_of_one_invariant_no_more_than_some_violations_are_shown(bench: Bench) -> None:
    await bench.create(run("r", *(str(number) for number in range(SHOWN + 50))))
    bench.rows("UPDATE steps SET token = 'x'")
    assert len(await bench.store.reads.check()) == SHOWN


async def test_what_is_in_the_trash_is_nobodys_violation(bench: Bench) -> None:
    await bench.create(run("r", "a", step("b", "a")))
    await bench.finish(outcome=PERMANENT)
    await bench.store.delete_run("r")
    assert await bench.is_sound()


async def test_leases_taken_before_a_limit_was_lowered_break_nothing(bench: Bench) -> None:
    await bench.create(run("r", *"abc"))
    await bench.store.configure_queues({"default": QueueConfig(3)})
    assert len(await bench.claim()) == 3
    await bench.store.configure_queues({"default": QueueConfig(1)})
    assert await bench.is_sound()
