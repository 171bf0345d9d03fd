"""The simulation's own package, with stubs."""

from collections.abc import Iterable, Sequence

from trio_workflow.model.payload import loads
from trio_workflow.runtime.runs import StartRun
from trio_workflow.runtime.runtime import Runtime
from trio_workflow.testing.simulation.acting.stubs import make_stub
from trio_workflow.testing.simulation.acting.workload import PACKAGE, make_package
from trio_workflow.testing.simulation.actor import Actor
from trio_workflow.testing.simulation.expected.asked import AskedRun
from trio_workflow.testing.simulation.expected.runs import ExpectedStep
from trio_workflow.testing.simulation.limits import Limits
from trio_workflow.testing.simulation.stage import Stage
from trio_workflow.testing.simulation.world import Feature, World


class OwnScript:
    """Graphs and executors that the seed draws: for the engine's own sake."""

    is_users = False
    is_repeatable = True
    knows_executors = True
    limits = Limits()

    def __init__(self, world: World) -> None:
        self._world = world
        self.asked: dict[str, AskedRun] = {}
        self._package = make_package(world, self.asked)
        self.run_ids = [f"run-{number}" for number in range(world.runs)]
        self.has_plain_queues = not world.features & {Feature.PRIORITY, Feature.RARE_KIND}

    def begin(self, stage: Stage) -> None:
        """Every world has a package of its own."""

    def set_up(self, rt: Runtime, stage: Stage, process: Actor, is_last: bool) -> None:
        """Not every process has an executor for the rare kind; the last one has."""
        rt.register_package(self._package)
        rt.register_executor(make_stub("work", stage, process))
        if is_last or not self._world.has(Feature.RARE_KIND) or process.roll.random() < 0.5:
            rt.register_executor(make_stub("rare", stage, process))

    def starts(self, run_ids: Sequence[str], stage: Stage, *, otherwise: bool) -> list[StartRun]:
        return [
            StartRun(
                PACKAGE,
                "other" if otherwise else {"id": run_id},
                run_id=run_id,
                metadata=self.asked.setdefault(run_id, AskedRun({"asked": run_id})).metadata,
            )
            for run_id in run_ids
        ]

    def saw(self, kinds: Iterable[str]) -> None:
        """They are all known."""

    def has_executor(self, kind: str) -> bool:
        """Whether every process surely has one."""
        return kind == "work"

    def wrote(self, step: ExpectedStep, body: bytes) -> bool:
        """Stubs write their token, into their result too; or what is the same in every attempt."""
        same = (step.name.encode(),) if self._world.has(Feature.SAME_BYTES) else ()
        return body in (loads(step.data or "null", dict[str, str])["token"].encode(), *same)

    async def at_the_end(self, rt: Runtime, stage: Stage) -> None:
        """Nothing more to look at."""
