"""The simulation: for users' packages, and that a seed decides all of it."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import trio

from trio_workflow import ConfigError, Package, RunBuilder, Runtime, StartRun, StepContext
from trio_workflow.testing import Fault, SimulationError, simulate
from trio_workflow.testing.simulation.acting.script import OwnScript
from trio_workflow.testing.simulation.campaign import Campaign, run_campaign
from trio_workflow.testing.simulation.play import play
from trio_workflow.testing.simulation.world import Feature, World, draw_world


def make_chain(length: int = 2) -> Package:
    chain = Package("chain")

    @chain.entrypoint
    def start(run: RunBuilder, shift: int | None = None) -> None:
        for index in range(length):
            run.step(
                f"s{index}", index + (shift or 0), kind="add", depends_on=[f"s{index - 1}"] if index else []
            )

    @chain.executor("add")
    async def add(step: StepContext, number: int) -> int:
        await trio.sleep(number % 3)
        return number

    return chain


def test_a_package_is_played_in_many_worlds() -> None:
    campaign = simulate(make_chain(), seeds=range(15))
    assert campaign.seeds == 15
    assert campaign.steps > 30
    assert sum(campaign.counts["fault"].values()) > 50
    assert "seeds 15" in str(campaign)


def test_worlds_can_be_fixed_and_faults_chosen() -> None:
    faults = ["crash_after", "slow"]
    campaign = simulate(make_chain(3), range(40), faults=faults, processes=1, runs=1, max_lost=99)
    assert set(campaign.counts["fault"]) == {Fault.CRASH_AFTER, Fault.SLOW}
    assert campaign.steps == 120


def test_a_function_may_register_what_is_needed_and_the_start_is_drawn() -> None:
    chain, seen = make_chain(), set[object]()

    async def look(rt: Runtime) -> None:
        seen.update(run.input for run in await rt.runs())

    def start(roll: random.Random) -> StartRun:
        return StartRun("chain", roll.randint(0, 1000))

    simulate(lambda rt: rt.register_package(chain), seeds=range(4), start=start, check=look)
    assert len(seen) > 3


def test_stubs_take_the_place_of_executors() -> None:
    package = make_chain()
    del package.executors["add"]

    @package.executor("add")
    async def never(step: StepContext, number: int) -> None:
        raise SystemExit

    assert simulate(package, seeds=range(10), executors="stubs").steps > 20


def test_a_function_without_a_start_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs start="):
        simulate(lambda rt: None)


def test_what_a_check_finds_is_told_with_its_smallest_world() -> None:
    runs: dict[str, set[int]] = {}
    package = Package("twice")

    @package.entrypoint
    def start(run: RunBuilder) -> None:
        run.step("once", kind="once")

    @package.executor("once")
    async def once(step: StepContext) -> None:
        runs.setdefault(step.idempotency_key, set()).add(step.attempt)

    async def nothing_ran_twice(rt: Runtime) -> None:
        ran, again = dict(runs), [key for key, attempts in runs.items() if len(attempts) > 1]
        runs.clear()
        assert not again, f"{again} of {len(ran)}"

    with pytest.raises(SimulationError) as caught:
        simulate(
            package, seeds=range(500), check=nothing_ran_twice, faults=["crash_after", "slow", "lost_answer"]
        )
    told = str(caught.value)
    assert "your check" in told
    assert "to play it again: simulate(..., seeds=[" in told
    assert "its last events:" in told


def test_jobs_find_what_one_process_finds() -> None:
    alone = simulate(make_chain(), seeds=range(20))
    both = simulate(make_chain(), seeds=range(20), jobs=2)
    assert (both.seeds, both.steps, both.counts) == (alone.seeds, alone.steps, alone.counts)


SEEDS = (0, 3, 21, 98)


def test_a_seed_decides_the_whole_trace_whatever_the_hashes() -> None:
    program = (
        "from tests.test_simulation import SEEDS, play, draw_world, OwnScript\n"
        "print([play(draw_world(seed), OwnScript).digest for seed in SEEDS])"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=Path(__file__).parent.parent,
            env=os.environ | {"PYTHONHASHSEED": hashes},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hashes in ("1", "2")
    }
    assert len(found) == 1


@pytest.mark.parametrize("part", range(4))
def test_the_engine_is_sound_in_some_worlds(part: int) -> None:
    for seed in range(part * 25, (part + 1) * 25):
        report = play(draw_world(seed), OwnScript)
        assert report.broken == (), seed


def test_a_step_that_ran_and_waits_again_has_not_waited_all_the_time() -> None:
    """The seed in which a campaign took it for one that nobody ran."""
    assert play(draw_world(10_056_751), OwnScript).broken == ()


def test_an_executor_that_interrupts_the_program_ends_the_grace_of_a_stop_at_the_same_moment() -> None:
    """The seed in which a campaign took it for a grace that was not given."""
    names = ("delay", "emit", "external", "inline", "priority", "records", "save")
    world = draw_world(17_958_347_317_996)
    world = attrs.evolve(world, features=frozenset(map(Feature, names)), runs=4, steps=8)
    assert play(world, OwnScript).broken == ()


def test_seeds_are_drawn_as_they_are_played_not_long_before() -> None:
    """A campaign that is to end at a time asks for it with every seed."""
    drawn: list[int] = []

    def seeds() -> Iterator[int]:
        for seed in range(100_000):
            drawn.append(seed)
            yield seed

    def enough(campaign: Campaign) -> None:
        raise ZeroDivisionError

    def small(seed: int) -> World:
        return attrs.evolve(draw_world(seed, frozenset()), processes=1, runs=1, steps=1, duration=1.0)

    with pytest.raises(ZeroDivisionError):
        run_campaign(seeds(), small, OwnScript, jobs=2, told=enough)
    assert len(drawn) <= 6 * 20
