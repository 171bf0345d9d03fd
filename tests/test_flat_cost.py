"""No hot verb gets dearer for rows that stand in its way. Cost: steps of SQLite's virtual machine."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from store_kit import LEASE, Bench, open_bench, run, step
from trio.testing import MockClock

from trio_workflow.model.changes import Renewal
from trio_workflow.model.outcome import Success
from trio_workflow.model.policy import QueueConfig

MANY = 100_000
AT_ONCE = 20
SKIP = 60
"""What the seeks cost that skip the three kinds of one crowd, whatever these hold."""

CROWD = f"""
WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {MANY})
INSERT INTO steps (step_key, run_key, id, package, kind, queue, dedup_key, retry, metadata, priority, delay,
  allow_failure, status, unmet, attempt, charged, lost, turn, ready_at, created_at, updated_at, finished_at)
SELECT i, 1, 'crowd' || i, 'p', {{kind}}, {{queue}}, '', s.retry, '{{{{}}}}', {{priority}}, 0, 0, {{status}},
  0, 0, 0, 0, {{turn}}, {{ready_at}}, 0, 0, {{finished_at}}
FROM n, (SELECT retry FROM steps LIMIT 1) s WHERE i > 1
"""
PLAIN = {
    "kind": "'k'",
    "queue": "'default'",
    "priority": "9",
    "status": "'ready'",
    "turn": "0",
    "ready_at": "0",
    "finished_at": "NULL",
}
IN_THE_WAY = {
    "delayed": {"turn": "NULL", "ready_at": "9000000000000000"},
    "of an unregistered kind": {"kind": "'a'"},
    "of many unregistered kinds": {"kind": "'a' || (i % 3)"},
    "in a paused queue": {"queue": "'aa'"},
    "in a full queue": {"queue": "'full'"},
    "in a queue not asked for": {"queue": "'zz'"},
    "finished": {"status": "'succeeded'", "turn": "NULL", "finished_at": "0"},
    "canceled": {"status": "'canceled'", "turn": "NULL", "finished_at": "0"},
}


class Meter:
    """Counts the virtual machine's steps on the writer's connection."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.costs: dict[str, int] = {}
        self._count = 0

    def _tick(self) -> int:
        self._count += 1
        return 0

    async def measure(self, verb: str, call: Callable[[], Awaitable[object]]) -> object:
        self._count = 0
        self._bench.conn.set_progress_handler(self._tick, 1)
        answer = await call()
        self._bench.conn.set_progress_handler(None, 1)
        self.costs[verb] = self._count
        return answer


async def costs(path: Path, crowd: dict[str, str] | None) -> dict[str, int]:
    """Every hot verb once, on some steps, with that crowd in the way."""
    async with open_bench(path) as bench:
        meter, store = Meter(bench), bench.store
        limits = {"aa": 0, "full": 1, "default": 999}
        await store.configure_queues({queue: QueueConfig(limit) for queue, limit in limits.items()})
        await bench.create(run("crowd", step("one", queue="full")))
        await bench.claim()
        if crowd is not None:
            bench.rows(CROWD.format(**PLAIN | crowd))
        served = frozenset(limits)

        async def claim() -> object:
            return await bench.claim(AT_ONCE, queues=served)

        fresh = run("r", *(str(number) for number in range(AT_ONCE)), step("end", "0 1 2 3 4?"))
        await meter.measure("create", lambda: bench.create(fresh))
        claims = await meter.measure("claim", claim)
        assert isinstance(claims, dict)
        assert len(claims) == AT_ONCE
        assert "0" in claims
        renewals = [Renewal(step_key=claim.step_key, token=claim.token) for claim in claims.values()]
        await meter.measure("renew", lambda: store.renew(renewals, LEASE))
        await meter.measure("save", lambda: store.save(claims["0"].step_key, claims["0"].token, "1"))
        emitting = Success(data="1", emitted=(step("child", "0"),))
        ends = [(claim, emitting if name == "0" else Success()) for name, claim in claims.items()]
        await meter.measure("complete", lambda: bench.end_all(*ends))
        await meter.measure("claim nothing", lambda: bench.ask(kinds=["none"], queues=served))
        return meter.costs


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """What the verbs cost in a store with nothing in the way."""
    return trio.run(costs, tmp_path_factory.mktemp("empty") / "engine.db", None, clock=MockClock())


@pytest.mark.parametrize("crowd", IN_THE_WAY)
def test_a_hundred_thousand_steps_in_the_way_make_no_verb_dearer(
    tmp_path: Path, empty: dict[str, int], crowd: str
) -> None:
    crowded = trio.run(costs, tmp_path / "engine.db", IN_THE_WAY[crowd], clock=MockClock())
    assert all(empty.values())
    assert {verb for verb, cost in crowded.items() if cost > empty[verb] * 1.2 + SKIP} == set()
