"""How the queues stand, over all processes."""

import sqlite3

from trio_workflow.model.policy import QueueConfig, RateLimit
from trio_workflow.model.records import QueueStatus
from trio_workflow.model.times import to_datetime_or_none
from trio_workflow.rules import token_bucket
from trio_workflow.store.sqlite.statements import SQL


def queue_statuses(conn: sqlite3.Connection, default: QueueConfig, now: int) -> list[QueueStatus]:
    """Every queue that is configured or holds work, by name. Cost: in proportion to the ready steps."""
    stored = {row["queue"]: row for row in conn.execute(SQL["queue_rows"])}
    running = {row["queue"]: row["running"] for row in conn.execute(SQL["leased_by_queue"])}
    ready: dict[str, int] = {}
    oldest: dict[str, int] = {}
    for name in ("ready_by_queue", "delayed_by_queue"):
        for queue, count, first in conn.execute(SQL[name]):
            ready[queue] = ready.get(queue, 0) + count
            oldest[queue] = min(oldest.get(queue, first), first)

    def status(queue: str) -> QueueStatus:
        row = stored.get(queue)
        config, tat = default, None if row is None else row["tat"]
        if row is not None and row["max_workers"] is not None:
            rate = None if row["rate"] is None else RateLimit(row["rate"], row["burst"])
            config = QueueConfig(row["max_workers"], rate)
        limit = config.rate_limit
        return QueueStatus(
            queue=queue,
            ready=ready.get(queue, 0),
            running=running.get(queue, 0),
            max_workers=config.max_workers,
            rate_limit=limit,
            tokens=None if limit is None else token_bucket.level(tat, now, limit),
            oldest_ready_at=to_datetime_or_none(oldest.get(queue)),
        )

    configured = {queue for queue, row in stored.items() if row["max_workers"] is not None}
    return [status(queue) for queue in sorted(configured | set(running) | set(ready))]
