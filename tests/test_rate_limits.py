"""Starts in any window of length w never exceed burst + rate * w, over processes and restarts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio
from store_kit import LEASE, SECOND, Bench, jump, open_bench, run, step

from trio_workflow.model.policy import QueueConfig, RateLimit
from trio_workflow.store import SQLiteStore
from trio_workflow.store.sqlite.store import OpenSQLiteStore

SLOW = QueueConfig(100, RateLimit(1.0, burst=2))


async def prepared(bench: Bench, config: QueueConfig = SLOW) -> Bench:
    await bench.create(run("r", *(step(f"{number:02}", queue="q") for number in range(30))))
    await bench.store.configure_queues({"q": config})
    return bench


async def test_a_burst_starts_at_once_and_then_one_per_interval(bench: Bench) -> None:
    await prepared(bench)
    starts = []
    for _ in range(4):
        starts.append(len(await bench.claim()))
        starts.append(len(await bench.claim()))
        jump(1)
    assert starts == [2, 0, 1, 0, 1, 0, 1, 0]
    assert await bench.is_sound()


async def test_a_queue_short_of_tokens_is_named_and_says_when_the_next_comes(bench: Bench) -> None:
    await prepared(bench)
    answer = await bench.ask()
    assert answer.limited == ("q",)
    assert answer.changes.due == bench.now() + SECOND


async def test_a_rate_limit_survives_a_restart(tmp_path: Path, bench: Bench) -> None:
    path = tmp_path / "other.db"
    async with open_bench(path) as first:
        await prepared(first)
        assert len(await first.claim()) == 2
    async with open_bench(path) as second:
        assert await second.claim() == {}
        await second.store.configure_queues({"q": SLOW})  # as an opening runtime does
        assert await second.claim() == {}
        jump(1)
        assert len(await second.claim()) == 1


async def test_two_processes_share_the_tokens(bench: Bench) -> None:
    await prepared(bench)
    async with open_bench(bench.path) as second:
        assert len(await bench.claim(1)) == 1
        assert len(await second.claim()) == 1
        assert await bench.claim() == {}


async def test_a_default_limits_rate_holds_too(bench: Bench) -> None:
    await bench.create(run("r", *"abc"))
    assert len(await bench.claim(default_queue=SLOW)) == 2
    assert await bench.claim(default_queue=SLOW) == {}
    jump(1)
    assert len(await bench.claim(default_queue=SLOW)) == 1


async def test_an_idle_queue_saves_no_more_than_a_burst(bench: Bench) -> None:
    await prepared(bench)
    await bench.claim()
    jump(1000)
    assert len(await bench.claim()) == 2


async def test_a_short_queue_leaves_its_slots_to_the_others(bench: Bench) -> None:
    await prepared(bench)
    await bench.create(run("free", *(step(f"f{number}", queue="z") for number in range(9))))
    assert sorted(name[0] for name in await bench.claim(8)) == ["0", "0", *"ffffff"]


@attrs.define
class Set:
    """A clock that shows what it is set to."""

    at: int

    def now(self) -> int:
        return self.at

    def monotonic(self) -> float:
        return trio.current_time()

    def not_before(self, at: int) -> None: ...


@asynccontextmanager
async def with_clock(path: Path, clock: Set) -> AsyncIterator[Bench]:
    async with SQLiteStore(path, synchronous="OFF").open(clock) as store:
        assert isinstance(store, OpenSQLiteStore)
        yield await prepared(Bench(store, path))


HOUR = 3600 * SECOND


async def test_after_the_clock_went_far_back_a_queue_starts_again_with_no_token_and_then_goes_on(
    tmp_path: Path, bench: Bench
) -> None:
    clock = Set(1000 * HOUR)
    async with with_clock(tmp_path / "clock.db", clock) as bench:
        assert len(await bench.claim()) == 2
        clock.at -= HOUR
        starts = []
        for _ in range(4):
            starts.append(len(await bench.claim()))
            clock.at += SECOND
        assert starts == [0, 1, 1, 1]


async def test_a_small_step_back_is_waited_out(tmp_path: Path, bench: Bench) -> None:
    clock = Set(1000 * HOUR)
    async with with_clock(tmp_path / "clock.db", clock) as bench:
        assert len(await bench.claim()) == 2
        clock.at -= LEASE
        assert await bench.claim() == {}
        clock.at += LEASE
        assert await bench.claim() == {}
        clock.at += SECOND
        assert len(await bench.claim()) == 1


async def test_a_far_jump_forward_fills_the_bucket_once(tmp_path: Path, bench: Bench) -> None:
    clock = Set(1000 * HOUR)
    async with with_clock(tmp_path / "clock.db", clock) as bench:
        assert len(await bench.claim()) == 2
        clock.at += 1000 * HOUR
        assert len(await bench.claim()) == 2
        assert await bench.claim() == {}


async def test_a_rate_made_faster_does_not_wait_for_what_the_slow_one_used_up(bench: Bench) -> None:
    await prepared(bench, QueueConfig(100, RateLimit(1 / 3600, burst=5)))
    assert len(await bench.claim()) == 5
    await bench.store.configure_queues({"q": SLOW})
    assert await bench.claim() == {}
    jump(1)
    assert len(await bench.claim()) == 1
