"""Whatever deleted runs look like, no transaction removes more than a portion of them."""

import hashlib
from collections.abc import Awaitable, Callable

import pytest
import trio
from store_kit import Bench, run, step
from test_delete_verb import counts

from trio_workflow import Package, RunBuilder, StepContext
from trio_workflow.model.outcome import ArtifactWrite, RecordWrite, Success
from trio_workflow.runtime.runtime import engine_of
from trio_workflow.testing import open_test_runtime, run_until_idle

DELETE = "trio_workflow.store.sqlite.verbs.delete"
MANY = 60
AT_ONCE = 10
PAGE = 4096


async def many_steps(bench: Bench) -> None:
    await bench.create(run("r", *(step(str(n), input="1") for n in range(MANY))))
    await bench.finish(outcome=Success(data="1"))


async def many_runs(bench: Bench) -> None:
    await bench.create(*(run(f"r{n}", "a", input="1") for n in range(MANY)))
    await bench.finish()


async def many_dependents(bench: Bench) -> None:
    await bench.create(run("r", "a", *(step(f"needs-{n}", "a") for n in range(MANY))))
    await bench.finish()
    await bench.finish()


async def many_records(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    records = tuple(RecordWrite("c", str(n), "1") for n in range(MANY))
    await bench.finish(outcome=Success(records=records))


async def many_attempts(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    await bench.finish()
    bench.rows(
        "WITH n (i) AS (VALUES (2) UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        "INSERT INTO attempts SELECT step_key, i, 'w', 0, 0, 'retried', NULL FROM n, steps",
        MANY,
    )
    bench.rows("UPDATE steps SET attempt = ?", MANY)


async def many_aliases(bench: Bench) -> None:
    await bench.create(
        run("r", step("a", dedup_key="d"), *(step(str(n), dedup_key="d") for n in range(MANY)))
    )
    await bench.finish()


async def much_metadata(bench: Bench) -> None:
    await bench.create(run("r", "a", metadata={str(n): "v" for n in range(MANY)}))
    await bench.finish()


SHAPES = (
    many_steps,
    many_runs,
    many_dependents,
    many_records,
    many_attempts,
    many_aliases,
    much_metadata,
)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
async def test_no_transaction_removes_more_rows_than_a_portion(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, shape: Callable[[Bench], Awaitable[None]]
) -> None:
    monkeypatch.setattr(f"{DELETE}.ROWS_AT_ONCE", AT_ONCE)
    monkeypatch.setattr(f"{DELETE}.STEPS_AT_ONCE", 4)
    await shape(bench)
    changes: list[int] = []

    async def measure(verb: Awaitable[int | bool]) -> bool:
        before = bench.conn.total_changes
        more = await verb
        changes.append(bench.conn.total_changes - before)
        return bool(more)

    while await measure(bench.store.prune(bench.now(), 1000)):
        pass
    while await measure(bench.store.purge()):
        assert await bench.is_sound()
    assert len(changes) > MANY / AT_ONCE
    # The entry in the trash comes beside the row of each run that is put there, and goes last.
    assert max(changes) <= 2 * AT_ONCE
    assert set(counts(bench).values()) == {0}


async def test_no_transaction_frees_more_pages_than_a_portion(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{DELETE}.PAGES_AT_ONCE", 20)
    monkeypatch.setattr(f"{DELETE}.PAYLOADS_AT_ONCE", 2)
    large = f'"{"x" * 10 * PAGE}"'
    await bench.create(run("r", *(step(str(n), input=large) for n in range(MANY)), input=large))
    await bench.finish(outcome=Success(data=large, records=(RecordWrite("c", "k", large),)))
    await bench.store.delete_run("r")
    freed: list[int] = []
    more = True
    while more:
        [(before,)] = bench.rows("PRAGMA freelist_count")
        more = await bench.store.purge()
        [(after,)] = bench.rows("PRAGMA freelist_count")
        freed.append(after - before)
    assert sum(freed) > 3 * 10 * MANY
    assert max(freed) <= 20 + 2 * 12
    assert set(counts(bench).values()) == {0}


async def test_artifacts_are_released_a_few_megabytes_at_a_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trio_workflow.store.sqlite.verbs.removal.BYTES_AT_ONCE", 5)
    sha = hashlib.sha256(b"xy").hexdigest()
    plain = {"kind": "t", "content_type": "t", "metadata": {}, "size": 2, "sha256": sha, "body": b"xy"}
    artifacts = tuple(ArtifactWrite(id=name, name=name, **plain) for name in "abcdef")  # type: ignore[arg-type]  # a dict of several types
    await bench.create(run("r", "a"), run("s", "a"))
    await bench.finish(outcome=Success(artifacts=artifacts))
    await bench.store.prune(bench.now(), 10)
    left = [counts(bench)["artifacts"]]
    while await bench.store.release_artifacts():
        left.append(counts(bench)["artifacts"])
    assert left == [12, 9, 6, 3, 0]
    assert not await bench.store.purge()
    assert set(counts(bench).values()) == {0}


async def test_freed_pages_are_not_written_to_the_log(bench: Bench) -> None:
    """A SQLite built to overwrite what it frees would write the whole payload again."""
    await bench.create(run("r", step("a", input=f'"{"x" * 250 * PAGE}"')))
    await bench.finish()
    await bench.store.delete_run("r")
    bench.rows("PRAGMA wal_checkpoint(RESTART)")
    assert not await bench.store.purge()
    [(_, in_log, _)] = bench.rows("PRAGMA wal_checkpoint(PASSIVE)")
    assert in_log < 50


package = Package("p")


@package.entrypoint
def start(run: RunBuilder) -> None:
    for number in range(5):
        run.step(kind="k", input=number)


@package.executor("k")
async def work(step: StepContext) -> None: ...


async def test_two_who_delete_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else one commit would remove what both of them ask for."""
    async with open_test_runtime() as rt:
        rt.register_package(package)
        handles = [await rt.start_run("p") for _ in range(4)]
        await run_until_idle(rt)
        engine = engine_of(rt)
        purge, at_once, seen = engine.store.purge, 0, list[int]()

        async def watched() -> bool:
            nonlocal at_once
            at_once += 1
            seen.append(at_once)
            await trio.lowlevel.checkpoint()
            more = await purge()
            at_once -= 1
            return more

        monkeypatch.setattr(engine.store, "purge", watched)
        async with trio.open_nursery() as nursery:
            for handle in handles:
                nursery.start_soon(rt.delete_run, handle.id)
        assert len(seen) >= 1
        assert max(seen) == 1
        assert len(await rt.runs()) == 0
