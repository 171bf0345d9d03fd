"""What passes between the store and those who use it: claims, requests, and what a commit changed."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import NamedTuple

import attrs

from trio_workflow.model.outcome import Failure
from trio_workflow.model.policy import QueueConfig
from trio_workflow.model.records import Step, WorkflowRun
from trio_workflow.model.status import AttemptOutcome, RunStatus, StepStatus


class StepMove(NamedTuple):  # two are made for every attempt: as a tuple in a third of the time
    """A step that took a new status in a commit: the fact behind an event."""

    run_id: str
    step_id: str
    package: str
    queue: str
    kind: str
    attempt: int
    status: StepStatus
    outcome: AttemptOutcome | None = None
    failure: Failure | None = None
    queue_wait: float | None = None  # seconds a leased step had been due


@attrs.frozen
class RunMove:
    """A run that took a new status in a commit."""

    run_id: str
    package: str
    name: str
    status: RunStatus
    created: bool = False


@attrs.frozen(kw_only=True)
class Changes:
    """What one verb changed. Published only after its commit.

    ready: some step may be claimable that was not. due: microseconds of the next time something becomes due
    by itself, where the verb knows it. revoked: tokens of leases that no longer hold. released: bytes that
    attempts put may be removed from the artifact store.
    """

    steps: tuple[StepMove, ...] = ()
    runs: tuple[RunMove, ...] = ()
    revoked: tuple[str, ...] = ()
    ready: bool = False
    due: int | None = None
    released: bool = False


@attrs.frozen(kw_only=True, slots=False)
class Claim:
    """A step now leased to this process. expires_at: microseconds, the lease's first expiry.

    run_key: no other run of the store ever has the same, whatever its id.

    What every attempt needs stands here. The whole step and its run are read from their rows when they are
    first asked for: few executors ask, and that costs more than the rest of a claim.
    """

    step_key: int
    token: str
    step_id: str
    kind: str
    queue: str
    attempt: int
    input: str
    timeout: float | None
    run_id: str
    run_key: int
    started_at: int
    expires_at: int
    saved: str | None = None
    read_step: Callable[[], Step] = attrs.field(eq=False, repr=False)
    read_run: Callable[[], WorkflowRun] = attrs.field(eq=False, repr=False)

    @cached_property
    def step(self) -> Step:
        """The step, as it was when the claim was made."""
        return self.read_step()

    @property
    def run(self) -> WorkflowRun:
        """The run, as it was when the claim was made."""
        return self.read_run()


def always(now: int) -> bool:
    """For a time that can be trusted."""
    return True


@attrs.frozen(kw_only=True)
class ClaimRequest:
    """What a runtime can start now.

    limit: steps over all queues. kinds: those it has executors for. queues: only these, None for all.
    free: free slots of the queues it knows; others have what default_queue allows. lease: microseconds.
    max_lost: how often a step may lose its lease. spared: tokens of its own leases that by its own clock
    still hold, which it must not expire. after: the queue that went first when something was
    leased last; a number while nothing was. may_expire: asked once the write
    lock is held, with the time in microseconds, whether that can be trusted enough to take leases back.
    """

    worker_id: str
    limit: int
    kinds: frozenset[str]
    default_queue: QueueConfig
    lease: int
    max_lost: int
    queues: frozenset[str] | None = None
    free: Mapping[str, int] = attrs.field(factory=dict[str, int])
    spared: frozenset[str] = frozenset()
    after: str | int = 0
    may_expire: Callable[[int], bool] = always


@attrs.frozen(kw_only=True)
class ClaimAnswer:
    """claims: what was leased. refreshed: expired leases taken back, if they were looked for.

    limits: of the queues leased from. The rest tells why no more was leased: queues short of tokens,
    unconfigured queues whose default limit is used up, kinds with due steps that the asker does not have.
    changes.due is the first of all dates; turns_at: the first at which a delayed step falls due or a token
    comes. leases_end: the last expiry of a lease as it stands now. Both are microseconds.
    """

    claims: tuple[Claim, ...] = ()
    refreshed: int = 0
    looked_for_expired: bool = True
    changes: Changes = attrs.field(factory=Changes)
    limits: Mapping[str, int] = attrs.field(factory=dict[str, int])
    limited: tuple[str, ...] = ()
    held_back: tuple[str, ...] = ()
    unclaimed_kinds: tuple[str, ...] = ()
    turns_at: int | None = None
    leases_end: int | None = None


@attrs.frozen(kw_only=True)
class Renewal:
    """A lease to renew and, if its step said where it is, the JSON text of that."""

    step_key: int
    token: str
    progress: str | None = None
