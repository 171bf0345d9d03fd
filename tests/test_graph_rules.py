"""Whether asked-for steps form a graph, and what of them is stored."""

import re
from itertools import pairwise

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from store_kit import step

from trio_workflow.errors import GraphError
from trio_workflow.model.plan import Dependency, StepSpec
from trio_workflow.rules.graph import Known, resolve

Edges = dict[int, set[int]]


@st.composite
def dags(draw: st.DrawFn) -> Edges:
    """Steps 0..n, each needing some of those before it."""
    size = draw(st.integers(1, 12))
    return {
        number: draw(st.sets(st.integers(0, number - 1), max_size=4)) if number else set()
        for number in range(size)
    }


def specs(edges: Edges) -> list[StepSpec]:
    return [step(f"s{number}", " ".join(f"s{need}" for need in needs)) for number, needs in edges.items()]


@given(dags(), st.randoms(use_true_random=False))
def test_a_graph_without_a_cycle_is_accepted_in_whatever_order(edges: Edges, random: object) -> None:
    asked = specs(edges)
    random.shuffle(asked)  # type: ignore[attr-defined]  # a random.Random of Hypothesis's
    assert resolve(asked).steps == tuple(asked)


@given(dags(), st.data())
def test_an_edge_back_makes_a_cycle_that_is_refused_by_name(edges: Edges, data: st.DataObject) -> None:
    last = data.draw(st.sampled_from(sorted(edges)))
    above = _all_needs(edges, last)
    assume(above)
    first = data.draw(st.sampled_from(sorted(above)))
    edges[first].add(last)
    with pytest.raises(GraphError) as caught:
        resolve(specs(edges))
    cycle = [int(number) for number in re.findall(r'"s(\d+)"', str(caught.value))]
    assert cycle[0] == cycle[-1]
    assert len(set(cycle)) == len(cycle) - 1 > 1
    assert all(need in edges[number] for number, need in pairwise(cycle))


def _all_needs(edges: Edges, number: int) -> set[int]:
    found: set[int] = set()
    line = list(edges[number])
    while line:
        need = line.pop()
        if need not in found:
            found.add(need)
            line.extend(edges[need])
    return found


def test_a_chain_far_deeper_than_the_stack_is_accepted() -> None:
    chain = [step("s0"), *(step(f"s{n}", f"s{n - 1}") for n in range(1, 20_000))]
    assert len(resolve(chain).steps) == 20_000


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ([step("a"), step("a")], 'step "a" is defined twice: ids are unique within a run'),
        ([step("a", "b")], 'step "a" depends on "b", which is not a step of this run'),
        ([step("a", "b?")], 'step "a" depends on "b", which is not a step of this run'),
        ([step("a", "a")], 'step "a" depends on itself'),
        ([step("a", "a?")], 'step "a" depends on itself'),
        ([step("a", "b"), step("b", "a?")], 'steps depend on each other in a cycle: "a" -> "b" -> "a"'),
        ([step("old")], 'step "old" already exists in this run: choose another id'),
        ([step("stands")], 'step "stands" already exists in this run: choose another id'),
    ],
    ids=[
        "twice",
        "unknown",
        "unknown-optional",
        "itself",
        "itself-optional",
        "cycle",
        "taken",
        "taken-alias",
    ],
)
def test_what_is_no_graph_is_refused_by_name(asked: list[StepSpec], message: str) -> None:
    with pytest.raises(GraphError, match=f"^{re.escape(message)}$"):
        resolve(asked, Known(ids={"old": "old", "stands": "old"}))


def test_of_steps_with_one_dedup_key_the_first_is_kept() -> None:
    graph = resolve([step("a", dedup_key="x"), step("b", dedup_key="x"), step("c"), step("d")])
    assert [spec.id for spec in graph.steps] == ["a", "c", "d"]
    assert graph.aliases == {"b": "a"}


def test_a_dropped_id_stands_for_the_first_in_dependencies() -> None:
    graph = resolve([step("c", "b"), step("a", dedup_key="x"), step("b", dedup_key="x")])
    assert graph.steps[0].depends_on == (Dependency("a"),)


def test_a_dropped_id_that_a_step_has_stands_for_that_step() -> None:
    graph = resolve([step("a", dedup_key="x"), step("b", dedup_key="x"), step("b"), step("c", "b")])
    assert [spec.id for spec in graph.steps] == ["a", "b", "c"]
    assert graph.aliases == {}
    assert graph.steps[2].depends_on == (Dependency("b"),)


def test_an_id_dropped_twice_stands_for_the_first_it_was_dropped_for() -> None:
    same = [step("a", dedup_key="x"), step("b", dedup_key="y")]
    graph = resolve([*same, step("c", dedup_key="x"), step("c", dedup_key="y")])
    assert graph.aliases == {"c": "a"}


def test_the_dedup_key_is_looked_at_before_the_id() -> None:
    assert resolve([step("a", dedup_key="x"), step("a", dedup_key="x")]).aliases == {}
    known = Known(ids={"a": "a"}, dedup_keys={"x": "a"})
    assert resolve([step("a", dedup_key="x"), step("b", dedup_key="x")], known).aliases == {"b": "a"}


def test_a_dropped_steps_own_mistakes_do_not_matter() -> None:
    graph = resolve([step("a", dedup_key="x"), step("b", "nobody b", dedup_key="x")])
    assert graph.aliases == {"b": "a"}


def test_a_step_that_depends_on_an_id_that_stands_for_it_depends_on_itself() -> None:
    with pytest.raises(GraphError, match=r'^step "a" depends on itself$'):
        resolve([step("a", "b", dedup_key="x"), step("b", dedup_key="x")])


def test_a_cycle_through_an_id_that_stands_for_another_is_found() -> None:
    with pytest.raises(GraphError, match='"a" -> "c" -> "a"'):
        resolve([step("a", "c", dedup_key="x"), step("b", dedup_key="x"), step("c", "b")])


def test_a_dependency_named_twice_is_one_and_required_if_either_was() -> None:
    graph = resolve(
        [step("a", dedup_key="x"), step("b", dedup_key="x"), step("c", "a? b"), step("d", "a? a?")]
    )
    assert graph.steps[1].depends_on == (Dependency("a", True),)
    assert graph.steps[2].depends_on == (Dependency("a", False),)


def test_dependencies_on_what_is_stored_are_on_real_ids() -> None:
    known = Known(ids={"old": "old", "stands": "old"}, dedup_keys={"x": "first"})
    graph = resolve([step("a", "stands"), step("b", dedup_key="x"), step("c", "b? old")], known)
    assert [spec.depends_on for spec in graph.steps] == [
        (Dependency("old"),),
        (Dependency("first", False), Dependency("old")),
    ]
    assert graph.aliases == {"b": "first"}


def test_steps_without_a_dedup_key_are_never_dropped() -> None:
    assert len(resolve([attrs.evolve(step(str(n)), dedup_key="") for n in range(5)]).steps) == 5
