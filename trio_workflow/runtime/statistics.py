"""How a runtime is doing, as numbers."""

from collections.abc import Mapping

import attrs

from trio_workflow.runtime.engine import Engine


@attrs.frozen(kw_only=True)
class Statistics:
    """running: executors of this runtime that have not returned. borrowed, free: slots by queue, of those met
    so far. The rest counts since the runtime was opened. largest_batch: most calls that shared one commit."""

    running: int
    borrowed: Mapping[str, int]
    free: Mapping[str, int]
    commits: int
    calls: int
    largest_batch: int
    locked_out: int
    taken_back: int
    checkpoints: int
    renewals: int
    lost_leases: int

    @property
    def batch_size(self) -> float:
        """Calls per commit, on average."""
        return self.calls / self.commits if self.commits else 0.0


def statistics_of(engine: Engine) -> Statistics:
    store = engine.store.statistics()
    borrowed = engine.slots.borrowed_by_queue()
    return Statistics(
        running=sum(borrowed.values()),
        borrowed=borrowed,
        free=engine.slots.free_by_queue(),
        commits=store.commits,
        calls=store.calls,
        largest_batch=store.largest_batch,
        locked_out=store.locked_out,
        taken_back=store.taken_back,
        checkpoints=store.checkpoints,
        renewals=engine.keeping.renewals,
        lost_leases=engine.keeping.lost,
    )
