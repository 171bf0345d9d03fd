"""What the runtime does for a step's context."""

import trio

from trio_workflow.errors import ConfigError, StoreUnavailableError
from trio_workflow.model.artifact import ArtifactObject, ArtifactRef
from trio_workflow.model.records import StepResult
from trio_workflow.projections import Projection
from trio_workflow.runtime.engine import Engine
from trio_workflow.runtime.holding import Holding, Reason

SAVE_PAUSE = 0.2
"""Seconds between offers of a checkpoint to a store that cannot be written."""


class StepServices:
    """For one attempt."""

    def __init__(self, engine: Engine, holding: Holding) -> None:
        self._engine, self._holding = engine, holding

    async def dependency_result(self, run_id: str, step_id: str) -> StepResult | None:
        return await self._engine.store.reads.dependency_result(run_id, step_id)

    async def save(self, data: str) -> None:
        """A store that cannot be written is waited for; the lease, when it runs out, cancels that."""
        is_held = await self._try_to_save(data)
        while is_held is None:
            await trio.sleep(SAVE_PAUSE)
            is_held = await self._try_to_save(data)
        if not is_held:
            self._holding.cancel(Reason.REVOKED)
            await trio.lowlevel.checkpoint_if_cancelled()

    async def _try_to_save(self, data: str) -> bool | None:
        """Whether the lease was still held; None if the store cannot be written now."""
        claim = self._holding.claim
        try:
            return await self._engine.store.save(claim.step_key, claim.token, data)
        except StoreUnavailableError:
            return None

    async def put_artifact(self, obj: ArtifactObject) -> ArtifactRef:
        self._refuse_the_dead()
        return await self._engine.artifacts.put(obj)

    async def projection(self, name: str) -> Projection:
        self._refuse_the_dead()
        if self._engine.config.projection_store is None:
            raise ConfigError("projection store is not configured")
        return await self._engine.config.projection_store.projection(name)

    def _refuse_the_dead(self) -> None:
        """Clean-up of an executor writes nothing for a runtime that crashed or was killed."""
        if self._engine.is_dead:
            self._engine.check_open()
