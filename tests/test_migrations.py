"""Files that earlier schema versions wrote: brought up to date, read as before, and worked on."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import trio
from schema_kit import DAY, LEASE, MemoryArtifacts, differences, everything, opened_file, unpack
from stories import outcomes, states, working

from trio_workflow.model.policy import QueueConfig
from trio_workflow.store.sqlite.migrations import MIGRATIONS, schema_version
from trio_workflow.store.sqlite.opening import open_file
from trio_workflow.testing import run_until_idle

EARLIER = range(1, len(MIGRATIONS))


def schema_of(path: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as conn:
        return sorted(conn.execute("SELECT type, name, tbl_name, sql FROM sqlite_master").fetchall())


def test_there_is_a_file_of_every_earlier_version(tmp_path: Path) -> None:
    for version in EARLIER:
        unpack(version, tmp_path / "engine.db")
        with closing(sqlite3.connect(tmp_path / "engine.db")) as conn:
            assert schema_version(conn) == version


@pytest.mark.parametrize("version", EARLIER)
def test_a_migrated_file_has_the_schema_of_a_new_one(tmp_path: Path, version: int) -> None:
    unpack(version, tmp_path / "old.db")
    for name in ("old.db", "new.db"):
        with closing(open_file(str(tmp_path / name), "OFF")) as conn:
            assert schema_version(conn) == len(MIGRATIONS)
    assert schema_of(tmp_path / "old.db") == schema_of(tmp_path / "new.db")


@pytest.mark.parametrize("version", EARLIER)
async def test_a_migrated_file_reads_as_before(tmp_path: Path, autojump_clock: object, version: int) -> None:
    expected = unpack(version, tmp_path / "engine.db")
    async with opened_file(tmp_path / "engine.db") as rt:
        assert differences(expected, await everything(rt)) == []
        assert await rt.check() == []


@pytest.mark.parametrize("version", EARLIER)
async def test_in_a_migrated_file_work_goes_on(tmp_path: Path, autojump_clock: object, version: int) -> None:
    unpack(version, tmp_path / "engine.db")
    async with opened_file(tmp_path / "engine.db") as rt, working(rt):
        await trio.sleep(3 * LEASE)
        assert (await rt.wait("hanging")).status == "succeeded"
        assert (await (await rt.start_run("all kinds", "done")).wait()).status == "succeeded"
    async with opened_file(
        tmp_path / "engine.db", queues={"paused": QueueConfig(9)}, lease_duration=DAY
    ) as rt:
        await run_until_idle(rt)
        assert set((await states(rt, "waiting")).values()) == {"succeeded"}
        assert await outcomes(rt, "hanging", "hangs") == ["lease_lost", "lease_lost", "succeeded"]
        result = await rt.result("hanging", "hangs")
        assert result is not None
        assert result.value() == "went on at 7"
        await rt.retry_run("failed")
        await run_until_idle(rt)
        assert (await states(rt, "failed"))["broken"] == "failed"
        assert await rt.check() == []


@pytest.mark.parametrize("version", EARLIER)
async def test_of_a_migrated_file_all_can_be_removed(
    tmp_path: Path, autojump_clock: object, version: int
) -> None:
    """The run that was half removed among the rest: the bytes of all their artifacts go."""
    path, artifacts = tmp_path / "engine.db", MemoryArtifacts()
    unpack(version, path)
    with closing(sqlite3.connect(path)) as conn:
        uris = [uri for (uri,) in conn.execute("SELECT ref ->> '$.uri' FROM artifacts WHERE ref IS NOT NULL")]
    assert len(uris) > 1
    artifacts.bodies = dict.fromkeys(uris, b"external bytes")
    async with opened_file(path, artifact_store=artifacts) as rt:
        await rt.cancel_run("hanging")
        await rt.cancel_run("waiting")
        await trio.sleep(DAY)
        assert await rt.prune(0) == 5
        assert await rt.check() == []
    assert artifacts.bodies == {}
    with closing(sqlite3.connect(path)) as conn:
        tables = [name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        left = {table: conn.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}
    assert {table for table, count in left.items() if count} == {"queues", "sqlite_sequence"}
