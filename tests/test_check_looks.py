"""check() in many looks: each sees one state, none keeps the log for long, and nothing falls between two."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from store_kit import PERMANENT, Bench, run, step
from test_checks import BROKEN, prepared

from trio_workflow.model.outcome import ArtifactWrite, Success

READ = "trio_workflow.store.sqlite.connections.Readers.read"
AT_ONCE = "trio_workflow.store.sqlite.check.STEPS_AT_ONCE"


def between_looks(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> list[int]:
    """After every read `act` is awaited. Answers a list that gets an entry for each."""
    from trio_workflow.store.sqlite.connections import Readers

    read, looks = Readers.read, list[int]()

    async def and_act(readers: Readers, query: Any) -> Any:
        answer = await read(readers, query)
        looks.append(len(looks))
        await act()
        return answer

    monkeypatch.setattr(READ, and_act)
    return looks


async def nothing() -> None:
    return


async def test_each_look_is_a_read_of_its_own_over_a_few_steps(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AT_ONCE, 6)
    await bench.create(*(run(f"r{number}", *"abc") for number in range(20)))
    looks = between_looks(monkeypatch, nothing)
    assert await bench.store.reads.check() == []
    of_running, of_steps, of_runs, of_artifacts, ends = 1, 60 // 6, 60 // 6, 0, 5
    assert len(looks) == of_running + of_steps + of_runs + of_artifacts + ends


async def test_a_run_of_many_steps_is_counted_in_one_look(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AT_ONCE, 2)
    await bench.create(run("r", *"abcdefghi"))
    await bench.create(run("s", "a"))
    looks = between_looks(monkeypatch, nothing)
    assert await bench.store.reads.check() == []
    of_running, of_steps, of_runs, ends = 1, 5, 2, 5
    assert len(looks) == of_running + of_steps + of_runs + ends


async def test_a_store_that_moves_between_two_looks_is_sound(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AT_ONCE, 2)
    chain = (step("a"), step("b", "a"), step("c", "b?"), step("d", "c"))
    await bench.create(*(run(f"r{number}", *chain) for number in range(12)))

    async def move() -> None:
        await bench.finish(3)
        await bench.finish(1, outcome=PERMANENT)
        [claim] = (await bench.claim(1)).values() or [None]
        if claim is not None:
            await bench.end(claim, Success(data="1", emitted=(step(f"child-{claim.step.id}"),)))
            await bench.claim(1)

    looks = between_looks(monkeypatch, move)
    assert await bench.store.reads.check() == []
    assert len(looks) > 20


async def test_between_two_looks_the_whole_log_can_be_copied_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AT_ONCE, 2)
    await bench.create(*(run(f"r{number}", *"ab") for number in range(5)))
    logs: list[tuple[Any, ...]] = []

    async def write_and_copy() -> None:
        await bench.finish(1)
        logs.extend(tuple(row) for row in bench.rows("PRAGMA wal_checkpoint(PASSIVE)"))

    between_looks(monkeypatch, write_and_copy)
    assert await bench.store.reads.check() == []
    assert len(logs) > 10
    assert [(busy, in_log) for busy, in_log, copied in logs if busy or in_log != copied] == []


@pytest.mark.parametrize(("invariant", "sql", "subject"), BROKEN, ids=lambda value: str(value)[:60])
async def test_nothing_falls_between_two_looks(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, invariant: str, sql: str, subject: str
) -> None:
    monkeypatch.setattr(AT_ONCE, 1)
    await prepared(bench)
    bench.rows(sql.replace("(KEY)", "(SELECT step_key FROM steps WHERE id = 'runs')"))
    found = [(one.invariant, one.subject) for one in await bench.store.reads.check()]
    assert found.count((invariant, subject)) == 1


async def test_bodies_are_read_a_few_at_a_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trio_workflow.store.sqlite.check.BYTES_AT_ONCE", 3)
    body = b"xy"
    artifacts = tuple(
        ArtifactWrite(
            id=name,
            name=name,
            kind="t",
            content_type="t",
            metadata={},
            size=2,
            sha256=hashlib.sha256(body).hexdigest(),
            body=body,
        )
        for name in "abcdef"
    )
    await bench.create(run("r", "a"))
    await bench.finish(outcome=Success(artifacts=artifacts))
    bench.rows("UPDATE artifacts SET body = x'0000' WHERE id = 'f'")
    looks = between_looks(monkeypatch, nothing)
    assert [found.subject for found in await bench.store.reads.check()] == ["artifact f"]
    of_running, of_steps, of_runs, of_artifacts, ends = 1, 1, 1, 3, 5
    assert len(looks) == of_running + of_steps + of_runs + of_artifacts + ends
