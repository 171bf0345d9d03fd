"""The runtime: every public method, as one line over the part that does it."""

from collections.abc import AsyncGenerator, Collection, Generator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any

import trio

from trio_workflow.artifacts import ArtifactReader
from trio_workflow.authoring.executor import Executor
from trio_workflow.authoring.package import Package
from trio_workflow.errors import ArtifactNotFoundError, ConfigError, OptionError, StoreLostError
from trio_workflow.model.records import Page, QueueStatus, Record, Step, StepResult, Violation, WorkflowRun
from trio_workflow.model.status import RunStatus, StepStatus
from trio_workflow.projections import Projection
from trio_workflow.runtime import housekeeping
from trio_workflow.runtime.engine import Engine
from trio_workflow.runtime.events import EventStream
from trio_workflow.runtime.inline_reader import InlineReader
from trio_workflow.runtime.runs import IfExists, RunHandle, StartRun, start_runs, wait_for_run
from trio_workflow.runtime.statistics import Statistics, statistics_of
from trio_workflow.runtime.workers import CycleResult, Workers


class Runtime:
    """A durable workflow runtime. Made by `open_runtime`, and by nothing else.

    Every method raises RuntimeClosedError after the block has ended, RuntimeCrashedError when the engine
    could not go on, and those that write raise StoreUnavailableError while the store cannot be written.
    A call that finds the store lost raises StoreLostError, and the engine cannot go on from then on.
    """

    def __init__(self, engine: Engine) -> None:
        if not isinstance(engine, Engine):  # pyright: ignore[reportUnnecessaryIsInstance] - users may pass anything
            raise ConfigError("a Runtime is made by `async with open_runtime(config)`, and by nothing else")
        self._engine = engine
        self._workers = Workers(engine)

    def __repr__(self) -> str:
        engine = self._engine
        state = "crashed" if engine.crash else "closed" if engine.is_closed else "open"
        return f"<Runtime {engine.config.worker_id!r} {state} kinds={sorted(engine.registry.kinds)}>"

    def _open(self) -> Engine:
        self._engine.check_open()
        return self._engine

    @contextmanager
    def _asked(self) -> Generator[Engine]:
        """The engine, for a call to its store: one that finds it lost ends the engine."""
        engine = self._open()
        try:
            yield engine
        except StoreLostError as error:
            engine.crash_from(error)
            raise

    # Packages and executors

    def register_package(self, package: Package) -> None:
        """Add a package and the executors declared on it. Raises ConfigError, and adds nothing."""
        self._open().registry.add_package(package)
        self._engine.hub.ring()

    def register_executor(self, executor: Executor[..., Any]) -> None:
        """Add an executor that packages share. Raises ConfigError."""
        self._open().registry.add_executor(executor)
        self._engine.hub.ring()

    # Runs

    async def start_run(
        self,
        package_name: str,
        input: object = None,
        *,
        run_id: str | None = None,
        name: str | None = None,
        metadata: Mapping[str, str] | None = None,
        if_exists: IfExists = "raise",
    ) -> RunHandle:
        """Store a run: its entrypoint is called, and the graph it describes is committed.

        if_exists="return" answers a run of that id that is there, if package and input are the same. Raises
        PackageNotFoundError, InputError, GraphError, RunExistsError, ValueError; nothing is stored then.
        """
        start = StartRun(package_name, input, run_id=run_id, name=name, metadata=metadata)
        with self._asked() as engine:
            [handle] = await start_runs(engine, [start], if_exists)
        return handle

    async def start_runs(self, runs: Sequence[StartRun], *, if_exists: IfExists = "raise") -> list[RunHandle]:
        """Store many runs in one commit, all or none."""
        asked = list(runs)
        for start in asked:
            if not isinstance(start, StartRun):  # pyright: ignore[reportUnnecessaryIsInstance] - users may pass anything
                raise OptionError(f"start_runs takes StartRun objects, not {start!r}")
        with self._asked() as engine:
            return await start_runs(engine, asked, if_exists)

    async def wait(self, run_id: str) -> WorkflowRun:
        """The run, once it has ended. Raises RunNotFoundError."""
        _ids(run_id)
        return await wait_for_run(self._open(), run_id)

    # Work

    async def run_once(self) -> CycleResult:
        """One scheduler cycle: expired leases are taken back, ready steps start side by side, and it returns
        when all that it started have ended. At most max_workers steps start, and at most a queue's limit of
        that queue; steps that become ready meanwhile start too while that lasts."""
        self._open()
        return await self._workers.cycle()

    async def start_workers(
        self,
        *,
        queues: Collection[str] | None = None,
        poll_interval: float | None = None,
        max_cycles: int | None = None,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Work until cancelled, until `drain`, or for max_cycles looks for work; then wait for what runs.

        Made for ``await nursery.start(rt.start_workers)``. queues: only these. When the surrounding block is
        cancelled, executors are cancelled after shutdown_grace and their steps are given back. Raises
        WorkflowError if it runs already, RuntimeCrashedError when the engine cannot go on.
        """
        self._open()
        await self._workers.run(queues, poll_interval, max_cycles, task_status)

    async def drain(self) -> None:
        """Workers and cycles start nothing new; returns when the running steps have ended."""
        self._open()
        await self._workers.drain()

    # Reads

    async def workflow(self, run_id: str) -> WorkflowRun | None:
        """A run, or None."""
        _ids(run_id)
        with self._asked() as engine:
            return await engine.store.reads.workflow(run_id)

    async def step(self, run_id: str, step_id: str) -> Step | None:
        """A step, by its id or one that stands for it (see dedup_key), or None."""
        _ids(run_id, step_id)
        with self._asked() as engine:
            return await engine.store.reads.step(run_id, step_id)

    async def result(self, run_id: str, step_id: str) -> StepResult | None:
        """What a step has produced, or None before it has ended an attempt."""
        _ids(run_id, step_id)
        with self._asked() as engine:
            return await engine.store.reads.result(run_id, step_id)

    async def runs(
        self,
        *,
        package: str | None = None,
        status: RunStatus | str | None = None,
        metadata: Mapping[str, str] | None = None,
        limit: int = 50,
        after: str | None = None,
    ) -> Page[WorkflowRun]:
        """Runs, newest first. metadata: every entry must match."""
        wanted = _run_status(status)
        with self._asked() as engine:
            return await engine.store.reads.runs(
                package=package, status=wanted, metadata=metadata, limit=_limit(limit), after=after
            )

    async def steps(
        self,
        run_id: str,
        *,
        status: StepStatus | str | None = None,
        limit: int = 1000,
        after: str | None = None,
    ) -> Page[Step]:
        """A run's steps, in the order of their creation."""
        _ids(run_id)
        wanted = _step_status(status)
        with self._asked() as engine:
            return await engine.store.reads.steps(run_id, status=wanted, limit=_limit(limit), after=after)

    async def records(
        self, collection: str, *, run_id: str | None = None, limit: int = 1000, after: str | None = None
    ) -> Page[Record]:
        """A collection's records, in the order of their commits."""
        with self._asked() as engine:
            return await engine.store.reads.records(
                collection, run_id=run_id, limit=_limit(limit), after=after
            )

    async def queues(self) -> list[QueueStatus]:
        """The queues that are configured or hold work, over all processes."""
        with self._asked() as engine:
            return await engine.store.reads.queues(engine.config.default_queue, engine.clock.now())

    async def projection(self, name: str) -> Projection:
        """A read model. Raises ConfigError without a projection store, ValueError for a bad name."""
        store = self._open().config.projection_store
        if store is None:
            raise ConfigError("projection store is not configured")
        return await store.projection(name)

    def open_artifact(
        self, run_id: str, step_id: str, name: str
    ) -> AbstractAsyncContextManager[ArtifactReader]:
        """Read a committed artifact, inline or external. Raises ArtifactNotFoundError."""
        _ids(run_id, step_id)
        return self._open_artifact(run_id, step_id, name)

    @asynccontextmanager
    async def _open_artifact(self, run_id: str, step_id: str, name: str) -> AsyncGenerator[ArtifactReader]:
        with self._asked() as engine:
            found = await engine.store.reads.artifact(run_id, step_id, name)
        if found is None:
            raise ArtifactNotFoundError(f'step "{step_id}" of run "{run_id}" has no artifact "{name}"')
        if found.body is not None:
            yield InlineReader(found.ref, found.body)
            return
        async with engine.artifacts.open(found.ref) as reader:
            yield reader

    # Operating

    async def retry_step(self, run_id: str, step_id: str) -> None:
        """A failed step becomes ready again, with a fresh budget; what was canceled because of it, pending.

        Raises RunNotFoundError, StepNotFoundError, StepStateError, RunStateError for a canceled run.
        """
        _ids(run_id, step_id)
        with self._asked() as engine:
            await engine.store.retry_step(run_id, step_id)
            engine.publish()

    async def retry_run(self, run_id: str) -> None:
        """That for every failed step of a run."""
        _ids(run_id)
        with self._asked() as engine:
            await engine.store.retry_run(run_id)
            engine.publish()

    async def cancel_run(self, run_id: str) -> None:
        """Cancel a run and what is open in it, in one transaction; executors that run here are cancelled at
        once. An ended run is left as it is. Raises RunNotFoundError."""
        _ids(run_id)
        with self._asked() as engine:
            await engine.store.cancel_run(run_id)
            engine.publish()

    async def delete_run(self, run_id: str) -> None:
        """Remove an ended run with all it has stored. Raises RunNotFoundError, RunStateError.

        Returns when its rows are gone and each of its artifacts was tried once. Bytes that could not be
        removed are tried again later, and some that could not be removed before are tried now.
        """
        _ids(run_id)
        with self._asked() as engine:
            await housekeeping.delete_run(engine, run_id)

    async def prune(self, older_than: float) -> int:
        """Remove runs that ended that many seconds ago or more, as `delete_run` does; returns how many."""
        if not _is_number(older_than) or not older_than >= 0:
            raise OptionError(f"prune older_than must be a number of seconds >= 0, not {older_than!r}")
        with self._asked() as engine:
            return await housekeeping.prune(engine, older_than)

    # Watching

    def events(self, buffer: int = 1000) -> AbstractAsyncContextManager[EventStream]:
        """What this runtime does from now on. buffer: events kept for a reader that is behind."""
        if isinstance(buffer, bool) or not isinstance(buffer, int) or buffer < 1:  # pyright: ignore[reportUnnecessaryIsInstance] - users may pass anything
            raise OptionError(f"events buffer must be a whole number >= 1, not {buffer!r}")
        self._open()
        return self._events(buffer)

    @asynccontextmanager
    async def _events(self, buffer: int) -> AsyncGenerator[EventStream]:
        with self._open().board.stream(buffer) as stream:
            try:
                await trio.lowlevel.checkpoint()
                yield stream
            finally:
                with trio.CancelScope(shield=True):
                    await stream.aclose()

    def statistics(self) -> Statistics:
        """How this runtime is doing."""
        return statistics_of(self._open())

    async def check(self) -> list[Violation]:
        """The engine's invariants that the store breaks, none if they all hold. Reads beside those who write.

        Raises StoreLostError for damage to the file that it meets; it does not look for that.
        """
        with self._asked() as engine:
            return await engine.store.reads.check()


def engine_of(runtime: Runtime) -> Engine:
    """For trio_workflow.testing. Raises ConfigError for what is no runtime."""
    if not isinstance(runtime, Runtime):  # pyright: ignore[reportUnnecessaryIsInstance] - users may pass anything
        raise ConfigError(f"this takes a Runtime, such as open_test_runtime gives, not {runtime!r}")
    return runtime._engine  # pyright: ignore[reportPrivateUsage] - of this module


def _ids(run_id: object, step_id: object = "") -> None:
    """Raise OptionError for what cannot be an id, so that a handle is not taken for an unknown run."""
    for what, value in (("run id", run_id), ("step id", step_id)):
        if not isinstance(value, str):
            hint = ": pass its `id`" if hasattr(value, "id") else ""
            raise OptionError(f"{what} must be a str, not {value!r}{hint}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _run_status(status: RunStatus | str | None) -> RunStatus | None:
    if status is None or status in list(RunStatus):
        return None if status is None else RunStatus(status)
    raise OptionError(f"run status must be one of {', '.join(RunStatus)}, not {status!r}")


def _step_status(status: StepStatus | str | None) -> StepStatus | None:
    if status is None or status in list(StepStatus):
        return None if status is None else StepStatus(status)
    raise OptionError(f"step status must be one of {', '.join(StepStatus)}, not {status!r}")


def _limit(limit: int) -> int:
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:  # pyright: ignore[reportUnnecessaryIsInstance] - users may pass anything
        raise OptionError(f"limit must be a whole number >= 1, not {limit!r}")
    return limit
