"""A user's package as the processes of a world run it."""

import inspect
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import attrs
import trio

from trio_workflow.authoring.executor import Executor
from trio_workflow.authoring.package import Package
from trio_workflow.errors import ConfigError
from trio_workflow.runtime.registry import Registry
from trio_workflow.runtime.runs import StartRun
from trio_workflow.runtime.runtime import Runtime, engine_of
from trio_workflow.testing.simulation.acting.stubs import make_stub
from trio_workflow.testing.simulation.actor import Actor
from trio_workflow.testing.simulation.expected.asked import AskedRun
from trio_workflow.testing.simulation.expected.runs import ExpectedStep
from trio_workflow.testing.simulation.limits import Limits
from trio_workflow.testing.simulation.stage import Stage
from trio_workflow.testing.simulation.world import World

SetUp = Callable[[Runtime], None]
Start = Callable[[random.Random], StartRun]
Check = Callable[[Runtime], object]


@attrs.frozen(kw_only=True)
class Asked:
    """What a user asked for. stubs: in place of all executors. reset: called before every world."""

    package: Package | SetUp
    start: Start
    check: Check | None = None
    reset: Callable[[], object] | None = None
    stubs: bool = False
    limits: Limits = attrs.field(factory=Limits)


class UserScript:
    """The same for every process. What user code raises is told as the user's, with its place."""

    is_users = True
    has_plain_queues = False

    def __init__(self, world: World, asked: Asked) -> None:
        self._world, self._asked = world, asked
        self.knows_executors, self.limits = asked.stubs, asked.limits
        # What one seed leaves in the memory of the process is not taken for what another did.
        self.run_ids = [f"seed-{world.seed}-run-{number}" for number in range(world.runs)]
        self.is_repeatable = True  # no executor runs in a thread
        self.asked: dict[str, AskedRun] = {}  # nobody knows
        self._kinds: frozenset[str] | None = None  # that every process has executors for
        self._named = set[str]()  # kinds of steps that there were
        self._stubs: list[_Stubs] = []

    def begin(self, stage: Stage) -> None:
        with stage.history.in_user_code("your reset"):
            if self._asked.reset is not None:
                _refuse_coroutine(self._asked.reset(), "reset")

    def set_up(self, rt: Runtime, stage: Stage, process: Actor, is_last: bool) -> None:
        engine = engine_of(rt)
        if self._asked.stubs:
            engine.registry = stubs = _Stubs(partial(make_stub, stage=stage, process=process))
            self._stubs.append(stubs)
        with stage.history.in_user_code("your set-up"):
            self._register(rt)
        registry = engine.registry
        self.saw(self._named)
        self._kinds = registry.kinds if self._kinds is None else self._kinds & registry.kinds
        self.is_repeatable &= all(registry.executor(kind).wraps.is_async for kind in registry.kinds)

    def _register(self, rt: Runtime) -> None:
        if isinstance(self._asked.package, Package):
            rt.register_package(self._asked.package)
            return
        _refuse_coroutine(self._asked.package(rt), "the function that registers what a runtime needs")

    def starts(self, run_ids: Sequence[str], stage: Stage, *, otherwise: bool) -> list[StartRun]:
        with stage.history.in_user_code("your start"):
            return [self._start(run_id) for run_id in run_ids]
        return []

    def _start(self, run_id: str) -> StartRun:
        asked = require_start(self._asked.start(self._world.random(f"start of {run_id}")))
        return attrs.evolve(asked, run_id=run_id)

    def saw(self, kinds: Iterable[str]) -> None:
        """Where there are stubs, there is one for every kind that a step has."""
        self._named.update(kinds)
        for stubs in self._stubs:
            stubs.learn(self._named)

    def has_executor(self, kind: str) -> bool:
        return (self._asked.stubs and kind in self._named) or kind in (self._kinds or ())

    def wrote(self, step: ExpectedStep, body: bytes) -> bool:
        return True

    async def at_the_end(self, rt: Runtime, stage: Stage) -> None:
        if self._asked.check is None:
            return
        with trio.move_on_after(self.limits.patience) as scope, stage.history.in_user_code("your check"):
            answer = self._asked.check(rt)
            if inspect.isawaitable(answer):
                answer = await answer
            if answer is False:
                raise ConfigError("check says what is wrong by what it raises, not by answering False")
        if scope.cancelled_caught:
            told = f"it has not returned after {self.limits.patience:g} s of virtual time (patience=)"
            stage.history.tell("your check", told)


class _Stubs(Registry):
    """Has a stub in place of every executor that is registered, and for every kind it learns of."""

    def __init__(self, make: Callable[[str], Executor[..., Any]]) -> None:
        super().__init__()
        self._make = make

    def _add_executors(self, executors: Mapping[str, Executor[..., Any]]) -> None:
        for executor in executors.values():
            executor.wraps.check()
        super()._add_executors({kind: self._make(kind) for kind in executors})

    def learn(self, kinds: Iterable[str]) -> None:
        new = sorted(set(kinds) - self.kinds)
        super()._add_executors({kind: self._make(kind) for kind in new})


def require_start(asked: object) -> StartRun:
    """Raises ConfigError for what is no StartRun."""
    _refuse_coroutine(asked, "start")
    if not isinstance(asked, StartRun):
        raise ConfigError(f"start must answer a StartRun, not {asked!r}")
    return asked


def _refuse_coroutine(answer: object, what: str) -> None:
    if inspect.iscoroutine(answer):
        answer.close()
        raise ConfigError(f"{what} must be a plain function (def), not an async one")
