"""The limits of queues, as they are stored for every process."""

from collections.abc import Mapping

from trio_workflow.model.policy import QueueConfig
from trio_workflow.store.sqlite.transaction import Tx
from trio_workflow.store.sqlite.verbs.hall import queue_row


def configure_queues(tx: Tx, queues: Mapping[str, QueueConfig]) -> None:
    """The limits of these queues are as given; what their rate limits have used up stays used up."""
    for queue, config in queues.items():
        rate = config.rate_limit
        tx.run(
            "configure_queue",
            {
                "queue": queue,
                "max_workers": config.max_workers,
                "rate": None if rate is None else float(rate.rate_per_second),
                "burst": None if rate is None else rate.burst,
                "now": tx.now,
            },
        )


def queue_limits(tx: Tx) -> dict[str, QueueConfig]:
    """The stored limits of the queues that somebody configured."""
    rows = {row["queue"]: queue_row(row) for row in tx.all("queue_rows")}
    return {queue: row.config for queue, row in rows.items() if row.config is not None}
