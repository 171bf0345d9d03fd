"""simulate: a package of yours in many small worlds in which processes die, stop, and come back."""

import random
import sys
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any, Literal

from trio_workflow.authoring.package import Package
from trio_workflow.runtime.runs import StartRun
from trio_workflow.runtime.runtime import Runtime
from trio_workflow.testing.simulation import arguments
from trio_workflow.testing.simulation.campaign import Campaign, MakeScript, MakeWorld, run_campaign
from trio_workflow.testing.simulation.failure import call, describe
from trio_workflow.testing.simulation.limits import DAY
from trio_workflow.testing.simulation.play import SeedReport
from trio_workflow.testing.simulation.shrink import shrink
from trio_workflow.testing.simulation.users import Asked, UserScript
from trio_workflow.testing.simulation.world import Fault


class SimulationError(AssertionError):
    """A seed broke something. The message names it, its options, its last events and how to play it again.

    Its `__cause__` is what user code raised, if that is what broke.
    """


def simulate(
    package: Package | Callable[[Runtime], None],
    seeds: Iterable[int] = range(100),
    *,
    start: Callable[[random.Random], StartRun] | None = None,
    check: Callable[[Runtime], object] | None = None,
    reset: Callable[[], object] | None = None,
    executors: Literal["own", "stubs"] = "own",
    faults: Collection[Fault | str] = tuple(Fault),
    jobs: int = 1,
    patience: float = 7 * DAY,
    seconds: float = 60.0,
    **fixed: Any,
) -> Campaign:
    """Play each seed: runs of the package, in a world of one to three processes on one store.

    The world and its faults come from the seed: processes are killed before, in and after transactions,
    stopped past their leases, and cut off from the store; disks fill up; clocks jump; operators cancel, retry
    and delete. Everything is virtual: the engine is the real one, on a real SQLite file, in one thread. After
    every commit the store is compared with what it must hold; at last the faults stop, every run must end,
    and `check` may look at the outcome and raise.

    package: a Package, or a function that registers everything a runtime needs, called for each process.
    start: makes a run to start from a seeded random number generator; by default one without input. Its
    `run_id` is not used: ids are `seed-7-run-0` and so on. check: only reads; async, or plain. reset: called
    before every world. All worlds share the memory of the program, and one seed may be played several times;
    what executors leave there, reset clears. executors: "own" or "stubs", which do nothing but succeed, fail
    or hang as the seed says. faults: those that may happen, by name. jobs: processes to play in. patience:
    seconds of virtual time for which nothing may change once the faults have stopped, unless something is due
    later. seconds: of real time that one seed may take. fixed: fields of `World` to set whatever the seed
    says: processes, runs, duration, lease, poll, max_workers, max_lost, grace, queues, default_queue.

    Every hundredth seed, 0 among them, is played twice, and must go the same way: the global `random` is
    seeded, real time is not. A function (`def`) as executor runs in a thread, whose timing no seed decides.

    Answers what was reached. Raises SimulationError for the first seed that breaks something, made smaller,
    and if no attempt of any step succeeded; ConfigError for a bad argument.
    """
    __tracebackhide__ = True
    arguments.require_outside()
    arguments.require_package(package)
    arguments.require_executors(executors)
    arguments.require_jobs(jobs)
    arguments.require_call("check", check)
    arguments.require_call("reset", reset)
    arguments.require_fixed(fixed)
    allowed = arguments.faults_of(faults, stubs=executors == "stubs")
    asked = Asked(
        package=package,
        start=arguments.start_of(package, start),
        check=check,
        reset=reset,
        stubs=executors == "stubs",
        limits=arguments.limits_of(patience, seconds),
    )
    make_world = partial(arguments.users_world, faults=allowed, fixed=fixed)
    make_script = partial(UserScript, asked=asked)
    campaign = run_campaign(arguments.seeds_of(seeds), make_world, make_script, jobs=jobs)
    campaign.is_users, campaign.faults = True, tuple(sorted(allowed))
    if campaign.failures:
        smallest = _shrunk(campaign.failures[0], make_script, seconds)
        told = describe(smallest, _replay(smallest, make_world), is_users=True)
        raise SimulationError(told) from smallest.broken[0].cause
    if not asked.stubs:
        _refuse_vacuous(campaign)
    return campaign


def _shrunk(report: SeedReport, make_script: MakeScript, seconds: float) -> SeedReport:
    """The seed is told at once, since this may take a while."""
    broken = report.broken[0]
    print(f"simulate: seed {report.world.seed} broke something: {broken.check}", file=sys.stderr, flush=True)
    return shrink(report, make_script, seconds=seconds)


def _replay(report: SeedReport, make_world: MakeWorld) -> str:
    """The call that plays it again, to be completed with the arguments of the first one."""
    return call(report.world, make_world(report.world.seed))


def _refuse_vacuous(campaign: Campaign) -> None:
    """What no executor brings to an end says nothing."""
    __tracebackhide__ = True
    ended = campaign.counts["executor"]
    if not ended or any(name.endswith(" success") for name in ended):
        return
    failures = campaign.counts["failure"].most_common(5)
    told = "".join(f"\n  {failure} ({times} times)" for failure, times in failures)
    raise SimulationError(
        f"no attempt of any step succeeded in {campaign.seeds} seeds, so that nothing was tried{told}"
    )
