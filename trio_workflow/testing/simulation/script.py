"""What the processes of a world run: the simulation's own package with stubs, or a user's."""

import copy
import random
from collections.abc import Awaitable, Callable

from trio_workflow.authoring.package import Package
from trio_workflow.model.payload import loads
from trio_workflow.runtime.runs import StartRun
from trio_workflow.runtime.runtime import Runtime
from trio_workflow.testing.simulation.actor import Actor
from trio_workflow.testing.simulation.expected import ExpectedStep
from trio_workflow.testing.simulation.stage import Stage
from trio_workflow.testing.simulation.stubs import make_stub
from trio_workflow.testing.simulation.workload import make_package
from trio_workflow.testing.simulation.world import Feature, World


class OwnScript:
    """Graphs and executors that the seed draws: for the engine's own sake."""

    knows_executors = True

    def __init__(self, world: World) -> None:
        self._world = world
        self._package = make_package(world)
        self.has_plain_queues = not world.features & {Feature.PRIORITY, Feature.RARE_KIND}

    def set_up(self, rt: Runtime, stage: Stage, process: Actor, is_last: bool) -> None:
        """Not every process has an executor for the rare kind; the last one has."""
        rt.register_package(self._package)
        rt.register_executor(make_stub("work", stage, process))
        if is_last or not self._world.has(Feature.RARE_KIND) or process.roll.random() < 0.5:
            rt.register_executor(make_stub("rare", stage, process))

    def start(self, run_id: str, *, otherwise: bool = False) -> StartRun:
        given = "other" if otherwise else {"id": run_id}
        return StartRun("simulated", given, run_id=run_id, metadata={"asked": run_id})

    def has_executor(self, kind: str) -> bool:
        """Whether every process surely has one."""
        return kind == "work"

    def wrote(self, step: ExpectedStep, body: bytes) -> bool:
        """Stubs write their token, into their result too; or what is the same in every attempt."""
        same = (step.name.encode(),) if self._world.has(Feature.SAME_BYTES) else ()
        return body in (loads(step.data or "null", dict[str, str])["token"].encode(), *same)

    async def at_the_end(self, rt: Runtime) -> None:
        """Nothing more to look at."""


class UserScript:
    """A user's package. stubs: in place of its executors; check: called when everything has ended."""

    has_plain_queues = False

    def __init__(
        self,
        world: World,
        package: Package | Callable[[Runtime], None],
        start: Callable[[random.Random], StartRun],
        stubs: bool,
        check: Callable[[Runtime], Awaitable[None]] | None,
    ) -> None:
        self.knows_executors = stubs
        self._world, self._package, self._start, self._stubs, self._check = (
            world,
            package,
            start,
            stubs,
            check,
        )
        self._kinds: frozenset[str] = frozenset()

    def set_up(self, rt: Runtime, stage: Stage, process: Actor, is_last: bool) -> None:
        """Every process has all of it."""
        if not isinstance(self._package, Package):
            self._package(rt)
            return
        package = self._package
        self._kinds = frozenset(package.executors)
        if self._stubs:
            package = copy.copy(package)
            package.executors = {kind: make_stub(kind, stage, process) for kind in package.executors}
        rt.register_package(package)

    def start(self, run_id: str, *, otherwise: bool = False) -> StartRun:
        asked = self._start(self._world.random(f"start of {run_id}"))
        return StartRun(
            asked.package_name, asked.input, run_id=run_id, name=asked.name, metadata=asked.metadata
        )

    def has_executor(self, kind: str) -> bool:
        return kind in self._kinds

    def wrote(self, step: ExpectedStep, body: bytes) -> bool:
        return True

    async def at_the_end(self, rt: Runtime) -> None:
        if self._check is not None:
            await self._check(rt)
