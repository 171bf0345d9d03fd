"""create_runs: runs that were not there are there, with their steps pending or ready, or nothing is."""

import pytest
from store_kit import Bench, jump, run, step

from trio_workflow.errors import GraphError, RunExistsError
from trio_workflow.model.plan import Dependency, RunSpec
from trio_workflow.model.policy import RetryPolicy
from trio_workflow.model.status import RunStatus


async def test_steps_without_dependencies_are_ready_and_the_others_pending(bench: Bench) -> None:
    created = await bench.create(run("r", "a", step("b", "a"), step("c", "a?")))
    assert await bench.statuses() == {"a": "ready", "b": "pending", "c": "pending"}
    assert await bench.run_status() == "pending"
    assert created.changes.ready
    assert [(move.run_id, move.status, move.created) for move in created.changes.runs] == [
        ("r", RunStatus.PENDING, True)
    ]
    assert await bench.is_sound()


async def test_a_step_is_stored_as_it_was_asked_for(bench: Bench) -> None:
    policy = RetryPolicy(max_attempts=7, backoff="linear", initial_backoff=0.5, jitter=0.25)
    asked = step(
        "b",
        "a?",
        input='{"x":1}',
        queue="q",
        kind="special",
        package="other",
        retry=policy,
        dedup_key="key",
        timeout=1.5,
        priority=-9,
        allow_failure=True,
        metadata={"m": "v"},
        parent_id="a",
    )
    await bench.create(run("r", "a", asked, input="[1]", metadata={"k": "v"}))
    found = await bench.store.reads.step("r", "b")
    assert found is not None
    assert (found.input, found.queue, found.kind, found.package) == ('{"x":1}', "q", "special", "other")
    assert (found.retry, found.dedup_key, found.timeout, found.priority) == (policy, "key", 1.5, -9)
    assert (found.allow_failure, found.metadata, found.parent_id) == (True, {"m": "v"}, "a")
    assert found.depends_on == (Dependency("a", required=False),)
    stored = await bench.store.reads.workflow("r")
    assert stored is not None
    assert (stored.input, stored.metadata, stored.package, stored.name) == ("[1]", {"k": "v"}, "p", "n")


async def test_a_delayed_step_is_ready_and_starts_when_its_date_has_come(bench: Bench) -> None:
    created = await bench.create(run("r", step("a", delay=5.0)))
    assert not created.changes.ready
    assert created.changes.due == bench.now() + 5_000_000
    assert await bench.statuses() == {"a": "ready"}
    assert await bench.claim() == {}
    jump(5)
    assert list(await bench.claim()) == ["a"]


async def test_of_steps_with_one_dedup_key_one_is_stored_and_the_other_id_stands_for_it(bench: Bench) -> None:
    await bench.create(run("r", step("a", dedup_key="x"), step("b", dedup_key="x"), step("c", "b")))
    assert await bench.statuses() == {"a": "ready", "c": "pending"}
    assert await bench.finish() == ["a"]
    assert await bench.finish() == ["c"]
    found = await bench.store.reads.step("r", "b")
    assert found is not None
    assert found.id == "a"
    result = await bench.store.reads.dependency_result("r", "b")
    assert result is not None
    assert result.step_id == "a"
    assert await bench.is_sound()


async def test_a_taken_id_raises_and_nothing_of_the_call_is_stored(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    with pytest.raises(RunExistsError, match=r'^run "r" already exists$'):
        await bench.create(run("new", "a"), run("r", "a"))
    assert await bench.store.reads.workflow("new") is None


async def test_a_taken_id_answers_the_run_that_is_there_if_asked_to(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    created = await bench.create(run("r", "a", "b"), run("new", "a"), if_exists="return")
    assert created.existing == {"r"}
    assert [move.run_id for move in created.changes.runs] == ["new"]
    assert await bench.statuses() == {"a": "ready"}


@pytest.mark.parametrize(
    ("other", "what"),
    [(run("r", "a", package="q"), "package"), (run("r", "a", input="1"), "input")],
    ids=["package", "input"],
)
async def test_a_run_that_is_there_with_another_package_or_input_is_not_answered(
    bench: Bench, other: RunSpec, what: str
) -> None:
    await bench.create(run("r", "a"))
    with pytest.raises(RunExistsError, match=f'^run "r" already exists with another {what}$'):
        await bench.create(run("new", "a"), other, if_exists="return")
    assert await bench.store.reads.workflow("new") is None


async def test_one_run_asked_for_twice_in_a_call_is_refused_or_is_one(bench: Bench) -> None:
    with pytest.raises(RunExistsError):
        await bench.create(run("r", "a"), run("r", "a"))
    assert await bench.store.reads.workflow("r") is None
    with pytest.raises(RunExistsError, match="another input"):
        await bench.create(run("r", "a"), run("r", "a", input="1"), if_exists="return")
    assert await bench.store.reads.workflow("r") is None
    await bench.create(run("r", "a"), run("r", "a"), if_exists="return")
    assert await bench.statuses() == {"a": "ready"}
    assert await bench.is_sound()


async def test_of_a_run_asked_for_twice_the_first_is_stored(bench: Bench) -> None:
    await bench.create(run("r", "first", name="one"), run("r", "second", name="two"), if_exists="return")
    assert await bench.statuses() == {"first": "ready"}


async def test_a_graph_that_is_none_is_refused_and_nothing_of_the_call_is_stored(bench: Bench) -> None:
    with pytest.raises(GraphError, match='step "a" depends on itself'):
        await bench.create(run("good", "a"), run("bad", step("a", "a")))
    assert await bench.store.reads.workflow("good") is None
    assert bench.rows("SELECT count(*) FROM steps") == [(0,)]


async def test_many_runs_are_made_in_one_commit(bench: Bench) -> None:
    await bench.create(*(run(f"r{number}", "a", step("b", "a")) for number in range(50)))
    assert bench.store.statistics().commits == 1
    assert len(await bench.finish()) == 50
    assert await bench.is_sound()


async def test_a_diamond_runs_from_top_to_bottom(bench: Bench) -> None:
    await bench.create(run("r", "top", step("left", "top"), step("right", "top"), step("end", "left right?")))
    assert [await bench.finish() for _ in range(4)] == [["top"], ["left", "right"], ["end"], []]
    assert await bench.run_status() == "succeeded"
    assert await bench.is_sound()
