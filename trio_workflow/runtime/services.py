"""What the runtime does for a step's context.

Rule: a store that cannot be reached for a while is waited for, and fails no step; the lease, when it runs
out, and the step's timeout cancel the wait.
"""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import TypeVar

import attrs
import trio

from trio_workflow.artifacts.bodies import closed_after
from trio_workflow.errors import ConfigError, StoreUnavailableError
from trio_workflow.model.artifact import ArtifactObject, ArtifactRef
from trio_workflow.model.records import StepResult
from trio_workflow.projections import Projection
from trio_workflow.runtime.engine import Engine
from trio_workflow.runtime.holding import Holding, Reason

T = TypeVar("T")

PAUSE = 0.2
"""Seconds between tries of a store that cannot be reached."""


class StepServices:
    """For one attempt."""

    def __init__(self, engine: Engine, holding: Holding) -> None:
        self._engine, self._holding = engine, holding

    async def dependency_result(self, run_id: str, step_id: str) -> StepResult | None:
        return await _patiently(lambda: self._engine.store.reads.dependency_result(run_id, step_id))

    async def save(self, data: str) -> None:
        claim, store = self._holding.claim, self._engine.store
        if not await _patiently(lambda: store.save(claim.step_key, claim.token, data)):
            self._holding.cancel(Reason.REVOKED)
            await trio.lowlevel.checkpoint_if_cancelled()

    async def put_artifact(self, obj: ArtifactObject) -> ArtifactRef:
        """A body that can be read only once is offered again while nothing of it was read."""
        self._refuse_the_dead()
        put = self._engine.artifacts.put
        if not isinstance(obj.body, AsyncIterable):
            return await _patiently(lambda: put(obj))
        body = _ReadOnce(obj.body)
        async with closed_after(obj.body):
            return await _patiently(
                lambda: put(attrs.evolve(obj, body=body)), may_retry=lambda: not body.has_begun
            )

    async def projection(self, name: str) -> Projection:
        self._refuse_the_dead()
        if self._engine.config.projection_store is None:
            raise ConfigError("projection store is not configured")
        projections = self._engine.config.projection_store
        return await _patiently(lambda: projections.projection(name))

    def _refuse_the_dead(self) -> None:
        """Clean-up of an executor writes nothing for a runtime that crashed or was killed."""
        if self._engine.is_dead:
            self._engine.check_open()


class _ReadOnce:
    """An async iterable of bytes, and whether its iteration has begun."""

    def __init__(self, body: AsyncIterable[bytes]) -> None:
        self._body = body
        self.has_begun = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        self.has_begun = True
        return aiter(self._body)


async def _patiently(ask: Callable[[], Awaitable[T]], *, may_retry: Callable[[], bool] = lambda: True) -> T:
    while True:
        try:
            return await ask()
        except StoreUnavailableError:
            if not may_retry():
                raise
            await trio.sleep(PAUSE)
