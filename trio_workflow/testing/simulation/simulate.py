"""simulate: a package of yours in many small worlds in which processes die, stop, and come back."""

import random
from collections.abc import Awaitable, Callable, Collection, Iterable
from functools import partial
from typing import Any, Literal

import attrs

from trio_workflow.authoring.package import Package
from trio_workflow.errors import ConfigError
from trio_workflow.runtime.runs import StartRun
from trio_workflow.runtime.runtime import Runtime
from trio_workflow.testing.simulation.campaign import Campaign, run_campaign
from trio_workflow.testing.simulation.failure import describe
from trio_workflow.testing.simulation.script import UserScript
from trio_workflow.testing.simulation.shrink import shrink
from trio_workflow.testing.simulation.world import OF_STUBS, Fault, World, draw_world


class SimulationError(AssertionError):
    """A seed broke something. The message names it, its options, its last events and how to play it again."""


def simulate(
    package: Package | Callable[[Runtime], None],
    seeds: Iterable[int] = range(100),
    *,
    start: Callable[[random.Random], StartRun] | None = None,
    check: Callable[[Runtime], Awaitable[None]] | None = None,
    executors: Literal["own", "stubs"] = "own",
    faults: Collection[Fault | str] = tuple(Fault),
    jobs: int = 1,
    **fixed: Any,
) -> Campaign:
    """Play each seed: runs of the package, in a world of one to three processes on one store.

    The world and its faults come from the seed: processes are killed before, in and after transactions,
    stopped past their leases, and cut off from the store; disks fill up; clocks jump; operators cancel, retry
    and delete. Everything is virtual: the engine is the real one, on a real SQLite file, in one thread. After
    every commit the store is compared with what it must hold; at last the faults stop, every run must end,
    and `check` may look at the outcome and raise.

    package: a Package, or a function that registers everything a runtime needs. start: makes a run to start
    from a seeded random number generator; by default one without input. executors: "own" or "stubs", which
    do nothing but succeed, fail or hang as the seed says. faults: those that may happen, by name. jobs:
    processes to play in. fixed: fields of `World` to set whatever the seed says, such as runs=1 or
    processes=2.

    Answers what was reached; raises SimulationError for the first seed that breaks something, made smaller.
    A function (`def`) as executor runs in a thread, whose timing no seed decides.
    """
    if not isinstance(package, Package) and start is None:
        raise ConfigError("simulate needs start= to know which runs to start when it is given a function")
    name = package.name if isinstance(package, Package) else ""
    allowed = frozenset(Fault(fault) for fault in faults)
    allowed = allowed if executors == "stubs" else allowed - OF_STUBS
    allowed -= {Fault.LATE_PUT}  # these worlds have no artifact store

    def make_world(seed: int) -> World:
        world = attrs.evolve(draw_world(seed, allowed), features=frozenset(), queues={})
        return attrs.evolve(world, **fixed)

    make_script = partial(
        UserScript,
        package=package,
        start=start or (lambda roll: StartRun(name)),
        stubs=executors == "stubs",
        check=check,
    )
    campaign = run_campaign(seeds, make_world, make_script, jobs=jobs)
    if campaign.failures:
        smallest = shrink(campaign.failures[0], make_script)
        raise SimulationError(describe(smallest, _replay(smallest.world, make_world)))
    return campaign


def _replay(world: World, make_world: Callable[[int], World]) -> str:
    """The call that plays it again, to be completed with the arguments of the first one."""
    drawn = make_world(world.seed)
    changed = "".join(
        f", {name}={getattr(world, name)}"
        for name in ("processes", "runs", "steps")
        if getattr(world, name) != getattr(drawn, name)
    )
    faults = sorted(fault.value for fault in world.faults)
    return f"simulate(..., seeds=[{world.seed}], faults={faults}{changed})"
