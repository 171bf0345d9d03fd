"""delete_run, prune and purge: ended runs are out of sight at once, and gone little by little."""

import hashlib

import pytest
from store_kit import SECOND, Bench, jump, open_bench, run, step

from trio_workflow.errors import RunNotFoundError, RunStateError
from trio_workflow.model.artifact import ArtifactRef
from trio_workflow.model.outcome import ArtifactWrite, RecordWrite, Success

TABLES = (
    "runs",
    "run_inputs",
    "run_metadata",
    "steps",
    "step_inputs",
    "aliases",
    "dependencies",
    "attempts",
    "results",
    "checkpoints",
    "records",
    "artifacts",
    "attempt_artifacts",
    "artifact_removals",
    "trash",
)


REMOVED = TABLES[-3:]
"""Tables in which a run that nobody has deleted, and whose attempts all succeeded, has no row."""


def counts(bench: Bench) -> dict[str, int]:
    return {table: bench.rows(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES}


def external(name: str) -> ArtifactWrite:
    plain = {"name": name, "kind": "text", "content_type": "text/plain", "metadata": {}, "sha256": "0"}
    ref = ArtifactRef(id=name, uri=f"file:{name}", size=1, **plain)  # type: ignore[arg-type]  # a dict of several types
    return ArtifactWrite(id=name, ref=ref, size=1, **plain)  # type: ignore[arg-type]  # a dict of several types


def inline(name: str) -> ArtifactWrite:
    sha = hashlib.sha256(b"x").hexdigest()
    return ArtifactWrite(
        id=name, name=name, kind="t", content_type="t", metadata={}, size=1, sha256=sha, body=b"x"
    )


async def ended(bench: Bench, run_id: str = "r") -> None:
    """A run that has ended, with a row in every table."""
    first = step("a", input="1", dedup_key="d")
    steps = (first, step("b", dedup_key="d"), step("c", "a"), step("e", "c?"))
    await bench.create(run(run_id, *steps, input="1", metadata={"k": "v"}))
    while claims := await bench.claim():
        for name, claim in claims.items():
            await bench.store.save(claim.step_key, claim.token, "1")
            await bench.end(
                claim,
                Success(
                    data="1",
                    records=(RecordWrite("c", "k", "1"),),
                    artifacts=(inline(f"in-{name}"), external(f"out-{run_id}-{name}")),
                ),
            )


async def purge_all(bench: Bench) -> list[str]:
    """No row of a deleted run is left; returns the places whose bytes were to be removed, and now are."""
    more = True
    while more:
        while await bench.store.release_artifacts():
            assert await bench.is_sound()
        more = await bench.store.purge()
        assert await bench.is_sound()
    removals = await bench.store.removals(0, 1000)
    await bench.store.settle_removals([removal.key for removal in removals], ())
    return [removal.ref.uri for removal in removals]


async def test_a_deleted_run_is_out_of_sight_at_once(bench: Bench) -> None:
    await ended(bench)
    assert 0 not in [count for table, count in counts(bench).items() if table not in REMOVED]
    await bench.store.delete_run("r")
    reads = bench.store.reads
    assert await reads.workflow("r") is None
    assert await reads.step("r", "a") is None
    assert await reads.result("r", "a") is None
    assert await reads.artifact("r", "a", "in-a") is None
    assert (await reads.records("c", run_id=None, limit=9, after=None)).items == ()
    assert (await reads.runs(package=None, status=None, metadata={"k": "v"}, limit=9, after=None)).items == ()
    assert await bench.is_sound()


async def test_a_swept_store_has_not_a_row_of_it(bench: Bench) -> None:
    await ended(bench)
    await bench.store.delete_run("r")
    assert await purge_all(bench) == ["file:out-r-a", "file:out-r-c", "file:out-r-e"]
    assert set(counts(bench).values()) == {0}


async def test_sweeping_leaves_other_runs_alone(bench: Bench) -> None:
    await ended(bench, "kept")
    before = counts(bench)
    await ended(bench, "gone")
    await bench.store.delete_run("gone")
    await purge_all(bench)
    assert counts(bench) == before
    assert (await bench.statuses("kept"))["e"] == "succeeded"


async def test_a_big_run_is_swept_in_batches(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trio_workflow.store.sqlite.verbs.delete.ROWS_AT_ONCE", 2)
    await ended(bench, "x")
    await ended(bench, "y")
    await bench.store.delete_run("x")
    await bench.store.delete_run("y")
    commits = bench.store.statistics().commits
    assert len(await purge_all(bench)) == 6
    assert bench.store.statistics().commits - commits > 6
    assert set(counts(bench).values()) == {0}


async def test_rows_stay_until_the_artifacts_of_their_run_are_released(bench: Bench) -> None:
    await ended(bench)
    before = counts(bench)
    await bench.store.delete_run("r")
    assert await bench.store.purge()
    assert counts(bench) == before | {"runs": 0, "trash": 1}
    assert await bench.store.release_artifacts()
    assert counts(bench) == before | {"runs": 0, "trash": 1, "artifacts": 0, "artifact_removals": 3}
    assert not await bench.store.release_artifacts()
    assert not await bench.store.purge()
    assert set(counts(bench).values()) == {0, 3}


async def test_an_id_is_free_at_once(bench: Bench) -> None:
    """Rows of two runs of one id lie side by side, and the later run keeps all of its own."""
    await ended(bench)
    await bench.store.delete_run("r")
    await ended(bench)
    both = counts(bench)
    assert await bench.is_sound()
    await purge_all(bench)
    assert {table: 2 * count for table, count in counts(bench).items() if table != "runs"} | {
        "runs": 1,
        "trash": 1,
    } == both
    assert await bench.run_status() == "succeeded"


async def test_two_who_purge_never_remove_what_belongs_to_a_run_that_is_there(bench: Bench) -> None:
    await ended(bench, "gone")
    await bench.store.delete_run("gone")
    async with open_bench(bench.path) as slow:
        await slow.store.release_artifacts()
        late = await slow.store.removals(0, 1000)
        await purge_all(bench)
        await ended(bench, "kept")
        before = counts(bench)
        await slow.store.settle_removals([removal.key for removal in late], ())
        await slow.store.purge()
    assert counts(bench) == before


async def test_only_an_ended_run_can_be_deleted(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    with pytest.raises(RunStateError, match=r'^run "r" is pending: only a run that has ended'):
        await bench.store.delete_run("r")
    with pytest.raises(RunNotFoundError, match=r'^run "none" not found$'):
        await bench.store.delete_run("none")
    assert await bench.statuses() == {"a": "ready"}


async def test_prune_removes_what_ended_by_then_oldest_first(bench: Bench) -> None:
    for number in range(4):
        await bench.create(run(f"r{number}", "a"))
        await bench.finish()
        jump(1)
    await bench.create(run("open", "a"))
    now = bench.now()
    assert await bench.store.prune(now - 5 * SECOND, 10) == 0
    assert await bench.store.prune(now - 2 * SECOND, 2) == 2
    assert await bench.store.prune(now - 2 * SECOND, 10) == 1
    states = await bench.store.reads.run_states([f"r{number}" for number in range(4)])
    assert set(states) == {"r3"}
    assert await bench.store.prune(now, 10) == 1
    assert await bench.run_status("open") == "pending"
    assert await bench.is_sound()
