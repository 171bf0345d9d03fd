"""Starting runs and waiting for them."""

from collections.abc import Mapping, Sequence
from typing import Literal

import attrs

from trio_workflow.authoring.run_builder import plan_run
from trio_workflow.errors import ConfigError, OptionError, RunNotFoundError, StoreLostError
from trio_workflow.model.payload import require_name
from trio_workflow.model.plan import RunSpec
from trio_workflow.model.records import WorkflowRun
from trio_workflow.runtime.engine import Engine
from trio_workflow.source import SOURCE

IfExists = Literal["raise", "return"]


@attrs.frozen
class StartRun:
    """One run to start, with the arguments of `Runtime.start_run`."""

    package_name: str
    input: object = None
    run_id: str | None = attrs.field(default=None, kw_only=True)
    name: str | None = attrs.field(default=None, kw_only=True)
    metadata: Mapping[str, str] | None = attrs.field(default=None, kw_only=True)


@attrs.frozen
class RunHandle:
    """A run that is stored. Two handles are equal if they name the same run."""

    id: str
    package: str
    name: str
    _engine: Engine = attrs.field(repr=False, eq=False)

    async def wait(self) -> WorkflowRun:
        """The run, once it has ended. Raises RunNotFoundError if it was deleted, RuntimeClosedError."""
        return await wait_for_run(self._engine, self.id)


async def start_runs(engine: Engine, asked: Sequence[StartRun], if_exists: str) -> list[RunHandle]:
    """All of them in one commit, or none."""
    if if_exists not in ("raise", "return"):
        raise ConfigError(f'if_exists must be "raise" or "return", not {if_exists!r}')
    specs = [await _plan(engine, start) for start in asked]
    engine.check_open()
    if not specs:
        return []
    created = await engine.store.create_runs(specs, if_exists=if_exists)
    engine.publish()
    handles = {spec.id: RunHandle(spec.id, spec.package, spec.name, engine) for spec in specs}
    for run_id in created.existing:
        there = await engine.store.reads.workflow(run_id)
        if there is not None:
            handles[run_id] = RunHandle(there.id, there.package, there.name, engine)
    return [handles[spec.id] for spec in specs]


async def _plan(engine: Engine, start: StartRun) -> RunSpec:
    named = start.package_name
    if not isinstance(named, str):  # pyright: ignore[reportUnnecessaryIsInstance] - users may pass anything
        raise OptionError(f"a run is started by the name of its package, not by {named!r}")
    package = engine.registry.package(named)
    run_id = f"{package.name}-{SOURCE.uuid()}" if start.run_id is None else start.run_id
    return await plan_run(
        package,
        start.input,
        run_id=require_name("run id", run_id),
        name=start.name,
        metadata=start.metadata,
        limits=engine.limits,
    )


async def wait_for_run(engine: Engine, run_id: str) -> WorkflowRun:
    """The run, once it has ended, here or in another process. A store that is lost ends the engine."""
    with engine.hears_of_others(engine.config.poll_interval):
        while True:
            engine.check_open()
            ended = engine.hub.expect(run_id)
            try:
                run = await engine.store.reads.workflow(run_id)
                if run is None:
                    raise RunNotFoundError(f'run "{run_id}" not found')
                if run.status.is_final:
                    return run
                await ended.wait()
            except StoreLostError as error:
                engine.crash_from(error)
            finally:
                engine.hub.forget(run_id, ended)
