"""run_executor: one attempt of one executor, through the engine's own attempt, without a store."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

import trio

from trio_workflow.artifacts import ArtifactStore
from trio_workflow.authoring.executor import Executor
from trio_workflow.authoring.options import make_spec
from trio_workflow.authoring.run_builder import Limits, input_text
from trio_workflow.authoring.step_context import StepContext
from trio_workflow.clock import current_clock
from trio_workflow.errors import ConfigError, OptionError, StepFailure
from trio_workflow.model.artifact import ArtifactObject, ArtifactRef
from trio_workflow.model.changes import Claim
from trio_workflow.model.payload import require_name
from trio_workflow.model.policy import RetryPolicy
from trio_workflow.model.records import StepResult
from trio_workflow.model.times import EPOCH, to_datetime
from trio_workflow.projections import ClosableProjectionStore, Projection, ProjectionStore
from trio_workflow.runtime.attempt import run_attempt
from trio_workflow.runtime.events import step_error
from trio_workflow.runtime.failures import failure_of
from trio_workflow.runtime.holding import Holding
from trio_workflow.runtime.registry import Registry
from trio_workflow.testing.outcomes import Outcome, outcome_of
from trio_workflow.testing.stand_ins import LEASE, dependency, run_of, step_of


class _Services:
    """What a runtime would do for the context, from memory."""

    def __init__(
        self,
        results: Mapping[str, StepResult],
        artifacts: ArtifactStore | None,
        projections: ProjectionStore | None,
        saved: str | None,
    ) -> None:
        self._results, self._artifacts, self._projections = results, artifacts, projections
        self.saved = saved

    async def dependency_result(self, run_id: str, step_id: str) -> StepResult | None:
        await trio.lowlevel.checkpoint()
        return self._results.get(step_id)

    async def save(self, data: str) -> None:
        await trio.lowlevel.checkpoint()
        self.saved = data

    async def put_artifact(self, obj: ArtifactObject) -> ArtifactRef:
        if self._artifacts is None:
            raise ConfigError("artifact store is not configured")
        return await self._artifacts.put(obj)

    async def projection(self, name: str) -> Projection:
        if self._projections is None:
            raise ConfigError("projection store is not configured")
        return await self._projections.projection(name)


def _microseconds(now: object) -> int:
    if not isinstance(now, datetime) or now.utcoffset() is None:
        raise OptionError(f"now must be a datetime with a time zone, not {now!r}")
    return round((now - EPOCH).total_seconds() * 1_000_000)


def _by_step(dependencies: object) -> Mapping[str, object]:
    if not isinstance(dependencies, Mapping):
        raise OptionError(f"dependencies must be a mapping of step ids to data, not {dependencies!r}")
    return cast("Mapping[str, object]", dependencies)


async def run_executor(
    executor: Executor[..., Any],
    input: object = None,
    *,
    dependencies: Mapping[str, object] | None = None,
    saved: object = None,
    attempt: int = 1,
    retry: RetryPolicy | None = None,
    timeout: float | None = None,  # noqa: ASYNC109 - the step option: an attempt that ends as a timeout
    run_id: str = "test-run",
    step_id: str = "test-step",
    package: str = "test",
    metadata: Mapping[str, str] | None = None,
    run_input: object = None,
    run_metadata: Mapping[str, str] | None = None,
    now: datetime | None = None,
    max_payload: int = Limits().max_payload,
    artifact_store: ArtifactStore | None = None,
    projection_store: ProjectionStore | None = None,
) -> Outcome:
    """Run one attempt of an executor as a worker would, and answer how it ended. Nothing is stored.

    Values go through JSON as in production. dependencies: what `dependency_data` and `dependency_result`
    find, by step id: the data, what a failed one had raised (a StepFailure), or a whole StepResult. saved:
    the checkpoint an earlier attempt left. attempt: from 1; the earlier ones count as failed, so that `retry`
    decides between retried and failed. timeout: seconds. now: by default the time of the trio run. Emitted
    steps may depend on any step of the run.

    Raises InputError for an input, a dependency or a checkpoint that is not JSON, ValueError for a bad
    option, ConfigError for what is no executor. What the executor raises is in the outcome;
    KeyboardInterrupt, SystemExit and the cancellation of a surrounding scope come out.
    """
    if not isinstance(executor, Executor):  # pyright: ignore[reportUnnecessaryIsInstance] - users may pass anything
        raise ConfigError(f'run_executor takes what @executor("KIND") makes of a function, not {executor!r}')
    registry = Registry()
    registry.add_executor(executor)
    if isinstance(attempt, bool) or not isinstance(attempt, int) or attempt < 1:  # pyright: ignore[reportUnnecessaryIsInstance] - users may pass anything
        raise OptionError(f"attempt must be a whole number >= 1, not {attempt!r}")

    def text(value: object, what: str) -> str:
        return input_text(value, what, max_payload)

    at = current_clock().now() if now is None else _microseconds(now)

    def result(key: str, value: object) -> StepResult:
        if isinstance(value, StepFailure):
            return dependency(run_id, key, None, step_error(failure_of(value), to_datetime(at)))
        if isinstance(value, StepResult):
            return value
        return dependency(run_id, key, text(value, f'the data of dependency "{key}"'))

    results = {
        require_name("a step id in dependencies", key): result(key, value)
        for key, value in _by_step({} if dependencies is None else dependencies).items()
    }
    run = run_of(
        require_name("run_id", run_id),
        package,
        text(run_input, "the run's input"),
        run_metadata,
        to_datetime(at),
    )
    spec = make_spec(
        step_id,
        text(input, "the input"),
        {"kind": executor.kind, "depends_on": tuple(results), "timeout": timeout, "metadata": metadata or {}},
        kind_error="",
        package=package,
        retry=retry or RetryPolicy(),
        parent=None,
    )
    step = step_of(spec, run, attempt, to_datetime(at))
    checkpoint = None if saved is None else text(saved, "the checkpoint")
    services = _Services(results, artifact_store, projection_store, checkpoint)
    limits = Limits(RetryPolicy(), max_payload)
    claim = Claim(
        step_key=1,
        token="test",
        step_id=step.id,
        kind=step.kind,
        queue=step.queue,
        attempt=attempt,
        input=step.input,
        timeout=step.timeout,
        run_id=run.id,
        run_key=1,
        started_at=at,
        expires_at=at + LEASE,
        saved=checkpoint,
        read_step=lambda: step,
        read_run=lambda: run,
    )
    context = StepContext(claim, services, limits)
    holding = Holding(claim, math.inf)
    holding.scope.shield = False  # here no engine stands between the executor and who cancels it
    try:
        ended = await run_attempt(holding, context, registry, max_lost=1)
    finally:
        # As a runtime does when it closes; used again, the store opens again.
        if isinstance(projection_store, ClosableProjectionStore):
            with trio.CancelScope(shield=True):
                await projection_store.close()
    await trio.lowlevel.checkpoint_if_cancelled()
    if ended.interrupt is not None:
        raise ended.interrupt
    assert ended.outcome is not None  # nobody revokes this lease
    now_ = to_datetime(current_clock().now()) if now is None else now
    return outcome_of(step, ended.outcome, context.take_progress(), services.saved, now_)
