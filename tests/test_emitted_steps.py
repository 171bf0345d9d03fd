"""Children exist if and only if the attempt that emitted them is stored as succeeded."""

import pytest
from store_kit import PERMANENT, Bench, run, step

from trio_workflow.model.outcome import RecordWrite, Success
from trio_workflow.model.plan import StepSpec


def emit(*children: StepSpec) -> Success:
    return Success(emitted=children)


async def test_children_are_stored_with_the_success_of_their_parent(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    await bench.end((await bench.claim())["a"], emit(step("x"), step("y", "x")))
    assert await bench.statuses() == {"a": "succeeded", "x": "ready", "y": "pending"}
    assert await bench.run_status() == "running"
    result = await bench.store.reads.result("r", "a")
    assert result is not None
    assert result.emitted_ids == ("x", "y")
    assert await bench.is_sound()


async def test_a_child_may_depend_on_its_parent_which_ends_with_it(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    await bench.end((await bench.claim())["a"], emit(step("x", "a"), step("y", "a?")))
    assert await bench.statuses() == {"a": "succeeded", "x": "ready", "y": "ready"}
    assert await bench.is_sound()


async def test_a_child_may_depend_on_what_ended_before_and_on_what_has_not(bench: Bench) -> None:
    await bench.create(run("r", "done", "a", step("later", "a")))
    claims = await bench.claim()
    await bench.end(claims["done"])
    await bench.end(claims["a"], emit(step("x", "done"), step("y", "done later")))
    assert await bench.statuses() == {
        "done": "succeeded",
        "a": "succeeded",
        "later": "ready",
        "x": "ready",
        "y": "pending",
    }
    assert await bench.is_sound()


async def test_a_child_may_depend_on_steps_that_end_in_the_same_batch(bench: Bench) -> None:
    await bench.create(run("r", "a", "good", "bad"))
    claims = await bench.claim()
    children = (step("x", "good"), step("y", "bad?"), step("z", "bad"), step("after", "z?"))
    await bench.end_all(
        (claims["good"], Success()), (claims["a"], emit(*children)), (claims["bad"], PERMANENT)
    )
    statuses = await bench.statuses()
    assert [statuses[name] for name in ("x", "y", "z", "after")] == ["ready", "ready", "canceled", "ready"]
    assert await bench.is_sound()


async def test_a_child_that_requires_a_dead_step_is_canceled_because_of_the_first_failure(
    bench: Bench,
) -> None:
    await bench.create(run("r", "a", "bad", step("dead", "bad")))
    claims = await bench.claim()
    await bench.end(claims["bad"], PERMANENT)
    children = (step("x", "bad"), step("y", "dead"), step("z", "x y"), step("o", "dead?"), step("p", "z?"))
    await bench.end(claims["a"], emit(*children))
    statuses = await bench.statuses()
    assert [statuses[child.id] for child in children] == [*["canceled"] * 3, "ready", "ready"]
    assert bench.rows("SELECT DISTINCT canceled_by FROM steps WHERE status = 'canceled'") == [("bad",)]
    assert await bench.is_sound()


async def test_two_parents_of_a_batch_see_each_others_children(bench: Bench) -> None:
    await bench.create(run("r", "a", "b"))
    claims = await bench.claim()
    await bench.end_all((claims["a"], emit(step("x"))), (claims["b"], emit(step("y", "x"))))
    assert await bench.statuses() == {"a": "succeeded", "b": "succeeded", "x": "ready", "y": "pending"}
    assert await bench.is_sound()


@pytest.mark.parametrize(
    "children",
    [
        (step("x"), step("x")),
        (step("other"),),
        (step("a"),),
        (step("stands"),),
        (step("x", "nobody"),),
        (step("x", "x"),),
        (step("x", "y"), step("y", "x")),
    ],
    ids=["twice", "taken", "parent", "alias", "unknown", "itself", "cycle"],
)
async def test_children_that_form_no_graph_fail_their_parent_and_nothing_of_it_is_stored(
    bench: Bench, children: tuple[StepSpec, ...]
) -> None:
    other = (step("other", kind="o", dedup_key="d"), step("stands", kind="o", dedup_key="d"))
    await bench.create(run("r", "a", *other))
    success = Success(data="1", records=(RecordWrite("c", "k", "1"),), emitted=children)
    await bench.end((await bench.claim())["a"], success)
    assert await bench.statuses() == {"a": "failed", "other": "ready"}
    found = await bench.store.reads.step("r", "a")
    assert found is not None
    assert found.error is not None
    assert found.error.code == "invalid_graph"
    assert not found.error.retryable
    assert bench.rows("SELECT (SELECT count(*) FROM records), (SELECT count(*) FROM results)") == [(0, 0)]
    assert await bench.is_sound()


async def test_the_same_child_of_two_parents_fails_the_second(bench: Bench) -> None:
    await bench.create(run("r", "a", "b"))
    claims = await bench.claim()
    await bench.end_all((claims["a"], emit(step("x"))), (claims["b"], emit(step("x"))))
    assert await bench.statuses() == {"a": "succeeded", "b": "failed", "x": "ready"}
    assert await bench.is_sound()


async def test_a_child_whose_dedup_key_is_in_use_is_dropped_and_its_id_stands_for_the_first(
    bench: Bench,
) -> None:
    await bench.create(run("r", "a", "b", step("first", kind="o", dedup_key="d")))
    claims = await bench.claim()
    await bench.end(claims["a"], emit(step("x", dedup_key="d"), step("y", "x")))
    await bench.end(claims["b"], emit(step("z", "x?")))  # x is known by now as a name of first
    assert await bench.statuses() == {
        "a": "succeeded",
        "b": "succeeded",
        "first": "ready",
        "y": "pending",
        "z": "pending",
    }
    result = await bench.store.reads.result("r", "a")
    assert result is not None
    assert result.emitted_ids == ("y",)
    await bench.finish(kinds=["o"])
    assert await bench.finish() == ["y", "z"]
    assert await bench.is_sound()
