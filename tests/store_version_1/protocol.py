"""What a store is. A verb is one atomic change, and its docstring the sentence of before -> after.

What verbs changed is collected in the order of their commits, for whoever asks first with `take_changes`; a
store calls nobody back. All verbs
raise StoreUnavailableError when the store cannot be written now, and StoreLostError when it is gone for good;
in both cases nothing was changed.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import attrs

from trio_workflow.clock import Clock
from trio_workflow.model.artifact import ArtifactRef
from trio_workflow.model.changes import Changes, ClaimAnswer, ClaimRequest, Renewal
from trio_workflow.model.outcome import Completion
from trio_workflow.model.plan import RunSpec
from trio_workflow.model.policy import QueueConfig
from trio_workflow.model.records import Page, QueueStatus, Record, Step, StepResult, Violation, WorkflowRun
from trio_workflow.model.status import AttemptOutcome, RunStatus, StepStatus


@attrs.frozen
class Created:
    """existing: the ids of asked-for runs that were already there and stay as they are."""

    changes: Changes
    existing: frozenset[str]


@attrs.frozen
class Completed:
    """ended: how each accepted completion ended its attempt, by token; a stale one is not in it."""

    changes: Changes
    ended: Mapping[str, AttemptOutcome]


@attrs.frozen
class Exchanged:
    """What one commit did with ended attempts and a claim. An error stands where that part failed."""

    completed: Completed | Exception
    answer: ClaimAnswer | Exception | None


@attrs.frozen
class StoredArtifact:
    """Where an artifact's bytes are: in `body`, or in the artifact store under `ref`."""

    body: bytes | None
    ref: ArtifactRef


@attrs.frozen
class StoreStatistics:
    """Counts since the store was opened. largest_batch: most calls that shared one commit."""

    commits: int
    calls: int
    largest_batch: int
    locked_out: int
    taken_back: int
    checkpoints: int


class StoreReads(Protocol):
    """Listing and inspecting. Reads see one committed state each and never wait for writers."""

    async def workflow(self, run_id: str) -> WorkflowRun | None: ...
    async def step(self, run_id: str, step_id: str) -> Step | None: ...
    async def result(self, run_id: str, step_id: str) -> StepResult | None:
        """What a step, by its id or one that stands for it, has produced; None before an attempt ended."""
        ...

    async def dependency_result(self, run_id: str, step_id: str) -> StepResult | None:
        """The same, but None before the step itself has ended."""
        ...

    async def artifact(self, run_id: str, step_id: str, name: str) -> StoredArtifact | None: ...
    async def run_states(self, run_ids: Collection[str]) -> Mapping[str, RunStatus]: ...
    async def runs(
        self,
        *,
        package: str | None,
        status: RunStatus | None,
        metadata: Mapping[str, str] | None,
        limit: int,
        after: str | None,
    ) -> Page[WorkflowRun]: ...
    async def steps(
        self, run_id: str, *, status: StepStatus | None, limit: int, after: str | None
    ) -> Page[Step]: ...
    async def records(
        self, collection: str, *, run_id: str | None, limit: int, after: str | None
    ) -> Page[Record]: ...
    async def queues(self, default: QueueConfig, now: int) -> list[QueueStatus]: ...
    async def check(self) -> list[Violation]:
        """The state invariants that do not hold. Raises StoreLostError for damage that it meets."""
        ...


class Store(Protocol):
    """The verbs."""

    @property
    def reads(self) -> StoreReads: ...

    async def create_runs(self, specs: Sequence[RunSpec], *, if_exists: str) -> Created:
        """Runs that were not there are there, with their steps pending or ready."""
        ...

    async def exchange(self, completions: Sequence[Completion], request: ClaimRequest | None) -> Exchanged:
        """Ended attempts are stored, and in the same commit ready steps are leased to the asker."""
        ...

    async def renew(self, renewals: Sequence[Renewal], lease: int) -> frozenset[str]:
        """Leases that still hold run on for `lease` microseconds; answers their tokens."""
        ...

    async def save(self, step_key: int, token: str, data: str) -> bool:
        """A step's checkpoint is `data`; False if the lease no longer holds."""
        ...

    async def holds(self, leases: Sequence[tuple[int, str]]) -> frozenset[str]:
        """The tokens of those leases that still hold."""
        ...

    async def poll(self) -> bool:
        """Whether another process has committed since this was last asked."""
        ...

    async def configure_queues(self, queues: Mapping[str, QueueConfig]) -> None:
        """The stored limits of these queues are as given."""
        ...

    async def queue_limits(self) -> Mapping[str, QueueConfig]:
        """The limits that are stored, by queue."""
        ...

    async def cancel_run(self, run_id: str) -> Changes:
        """A run that goes on is canceled, with all that is open in it; an ended one is left as it is."""
        ...

    async def retry_step(self, run_id: str, step_id: str) -> Changes:
        """A failed step is ready again, and what was canceled because of it pending."""
        ...

    async def retry_run(self, run_id: str) -> Changes:
        """That for every failed step of a run."""
        ...

    async def delete_run(self, run_id: str) -> None:
        """An ended run is out of sight; `trashed` and `sweep` remove what is left of it."""
        ...

    async def prune(self, before: int, limit: int) -> int:
        """Some runs, up to `limit`, that ended by then are out of sight; answers how many, at last 0."""
        ...

    async def trashed(self) -> Sequence[tuple[int, ArtifactRef | None]]:
        """Some artifacts of deleted runs, whose bytes are to be deleted before `sweep` gets their keys."""
        ...

    async def sweep(self, artifact_keys: Sequence[int]) -> bool:
        """Some rows of deleted runs are gone, these artifacts first; answers whether more are left."""
        ...

    async def shrink(self) -> bool:
        """Some of the space that deleted runs took is given back; answers whether more can be."""
        ...

    def take_changes(self) -> Sequence[Changes]:
        """What commits have changed since this was last asked, in the order of the commits."""
        ...

    def statistics(self) -> StoreStatistics: ...

    def sever(self) -> None:
        """Nothing more is written, as if the process had been killed."""
        ...


class StoreConfig(Protocol):
    """Names a store, and opens it."""

    def open(self, clock: Clock) -> AbstractAsyncContextManager[Store]: ...
