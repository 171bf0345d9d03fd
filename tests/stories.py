"""What the stories about the runtime share: a runtime on a file, a package in a line, workers in a block."""

import inspect
import itertools
import math
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from trio_workflow import (
    Config,
    Event,
    EventStream,
    Executor,
    Package,
    RunBuilder,
    Runtime,
    SQLiteStore,
    StepResult,
    Store,
    StoreUnavailableError,
    open_runtime,
)
from trio_workflow.clock import Clock

AnyExecutor = Executor[..., Any]


def says(message: str) -> str:
    """A pattern for exactly that message."""
    return f"^{re.escape(message)}$"


def config(folder: Path, **settings: Any) -> Config:
    """A runtime on a file in that folder, which never polls unless told to."""
    settings.setdefault("store", SQLiteStore(folder / "engine.db", synchronous="OFF"))
    settings.setdefault("poll_interval", math.inf)
    return Config(**settings)


@asynccontextmanager
async def opened(folder: Path, *, patience: float = 20_000, **settings: Any) -> AsyncIterator[Runtime]:
    """An open runtime. A test that hangs fails, after some virtual time, and every store is left sound."""
    with trio.fail_after(patience):
        async with open_runtime(config(folder, **settings)) as rt:
            yield rt
            assert await rt.check() == []


def opened_quietly(folder: Path, **settings: Any) -> AbstractAsyncContextManager[Runtime]:
    """An open runtime that is not looked at when its block ends: it will be crashed, or closed early."""
    return open_runtime(config(folder, **settings))


@asynccontextmanager
async def working(rt: Runtime, **options: Any) -> AsyncIterator[None]:
    """Workers for the time of the block."""
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: rt.start_workers(task_status=task_status, **options))
        yield
        nursery.cancel_scope.cancel()


def define(
    rt: Runtime, *executors: AnyExecutor, graph: Callable[..., object] | None = None, name: str = "p"
) -> None:
    """Register a package. Without a graph it makes one step "s" of the first executor's kind."""
    package = Package(name, entrypoint=graph or one_step(executors[0].kind))
    rt.register_package(package)
    for each in executors:
        rt.register_executor(each)


def one_step(kind: str, **options: Any) -> Callable[[RunBuilder], None]:
    """An entrypoint that makes one step "s"."""

    def start(run: RunBuilder) -> None:
        run.step("s", kind=kind, **options)

    return start


async def ended(rt: Runtime, run_id: str, step_id: str = "s") -> StepResult:
    """A step's result, which is there."""
    result = await rt.result(run_id, step_id)
    assert result is not None
    return result


async def outcomes(rt: Runtime, run_id: str, step_id: str = "s") -> list[str | None]:
    """How the attempts of a step ended, one after the other; their numbers have no gaps."""
    attempts = (await ended(rt, run_id, step_id)).attempts
    assert [attempt.number for attempt in attempts] == list(range(1, len(attempts) + 1))
    return [attempt.outcome for attempt in attempts]


async def states(rt: Runtime, run_id: str) -> dict[str, str]:
    """The status of every step of a run."""
    return {step.id: step.status.value for step in await rt.steps(run_id)}


async def status(rt: Runtime, run_id: str) -> str:
    run = await rt.workflow(run_id)
    assert run is not None
    return run.status.value


async def error_of(rt: Runtime, run_id: str, step_id: str = "s") -> tuple[str, str]:
    """Code and message of a step's error."""
    error = (await ended(rt, run_id, step_id)).error
    assert error is not None
    return error.code, error.message


@asynccontextmanager
async def recorded(rt: Runtime) -> AsyncIterator[list[Event]]:
    """The list that this runtime's events go to, complete whenever all tasks are blocked."""
    events: list[Event] = []

    async def record(stream: EventStream) -> None:
        async for event in stream:
            events.append(event)

    async with rt.events() as stream, trio.open_nursery() as nursery:
        nursery.start_soon(record, stream)
        yield events
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()


NUMBERS = itertools.count()


async def refused(
    rt: Runtime, graph: Callable[[RunBuilder], object], error: type[Exception], text: str
) -> None:
    """The run is refused with that error and text, and nothing is stored."""
    package = f"p{next(NUMBERS)}"
    define(rt, graph=graph, name=package)
    with pytest.raises(error, match=text):
        await rt.start_run(package, run_id="r")
    assert await rt.workflow("r") is None
    assert (await rt.runs()).items == ()


class Switch:
    """A SQLite store that can be made unwritable, for everyone who opened it through this object."""

    def __init__(self, folder: Path) -> None:
        self._inner = SQLiteStore(folder / "engine.db", synchronous="OFF")
        self.is_down = False

    def open(self, clock: Clock) -> AbstractAsyncContextManager[Store]:
        return self._open(clock)

    @asynccontextmanager
    async def _open(self, clock: Clock) -> AsyncIterator[Store]:
        async with self._inner.open(clock) as store:
            guarded: Any = _Guarded(store, self)
            yield guarded


class _Guarded:
    def __init__(self, store: Store, switch: Switch) -> None:
        self._store, self._switch = store, switch

    def __getattr__(self, name: str) -> Any:
        verb = getattr(self._store, name)
        if not inspect.iscoroutinefunction(verb):
            return verb

        async def call(*args: Any, **kwargs: Any) -> Any:
            if self._switch.is_down:
                await trio.lowlevel.checkpoint()
                raise StoreUnavailableError("the switch is off")
            return await verb(*args, **kwargs)

        return call
