"""The writer: one commit for all who wait, and what fails, is cancelled or refused takes nobody along."""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import outcome
import pytest
import trio
from store_kit import Bench, open_bench, request, run, step
from trio.testing import wait_all_tasks_blocked

from trio_workflow.errors import RunExistsError, RuntimeClosedError, StoreError
from trio_workflow.model.outcome import Completion, Success
from trio_workflow.store.sqlite.transaction import Tx
from trio_workflow.store.sqlite.writer import EXCHANGE, ORDINARY, RENEWAL


def trash(number: int) -> Callable[[Tx], int]:
    """A verb that leaves a mark: a row in a table without meaning to these tests."""

    def mark(tx: Tx) -> int:
        tx.run("into_trash", {"run_key": number, "id": str(number)})
        return number

    return mark


def marks(bench: Bench) -> list[int]:
    return [number for (number,) in bench.rows("SELECT run_key FROM trash ORDER BY run_key")]


def broken(tx: Tx) -> None:
    tx.run("into_trash", {"run_key": 99, "id": "99"})
    tx.run("into_trash", {"run_key": 99, "id": "99"})  # raises sqlite3.IntegrityError


def refusing(tx: Tx) -> None:
    raise RunExistsError("refused before anything was written")


def refusing_late(tx: Tx) -> None:
    tx.run("into_trash", {"run_key": 99, "id": "99"})
    raise RunExistsError("refused after something was written")


def bug(tx: Tx) -> None:
    tx.run("into_trash", {"run_key": 99, "id": "99"})
    raise ZeroDivisionError


async def together(bench: Bench, *verbs: Callable[[Tx], object]) -> list[outcome.Outcome[object]]:
    """Each verb from a task of its own, all in line before the first commit; answers in the same order."""
    answers: dict[int, outcome.Outcome[object]] = {}

    async def submit(number: int, verb: Callable[[Tx], object]) -> None:
        answers[number] = await outcome.acapture(bench.store._writer.submit, verb)

    async with trio.open_nursery() as nursery:
        for number, verb in enumerate(verbs):
            nursery.start_soon(submit, number, verb)
    return [answers[number] for number in range(len(verbs))]


async def test_tasks_that_wait_share_one_commit(bench: Bench) -> None:
    answers = await together(bench, *(trash(number) for number in range(10)))
    assert [answer.unwrap() for answer in answers] == list(range(10))
    assert marks(bench) == list(range(10))
    found = bench.store.statistics()
    assert (found.commits, found.calls, found.largest_batch, found.taken_back) == (1, 10, 10, 0)


async def test_everybody_in_a_batch_has_the_same_now(bench: Bench) -> None:
    answers = await together(bench, *[lambda tx: tx.now] * 5)
    assert {answer.unwrap() for answer in answers} == {bench.now()}


async def test_renewals_go_first_and_claims_last(bench: Bench) -> None:
    order: list[int] = []

    async def submit(rank: int) -> None:
        await bench.store._writer.submit(lambda tx: order.append(rank), rank)

    async with trio.open_nursery() as nursery:
        for rank in (EXCHANGE, ORDINARY, RENEWAL, EXCHANGE, RENEWAL):
            nursery.start_soon(submit, rank)
    assert bench.store.statistics().commits == 1
    assert order == [RENEWAL, RENEWAL, ORDINARY, EXCHANGE, EXCHANGE]


@pytest.mark.parametrize(
    ("verb", "error"),
    [(broken, StoreError), (bug, ZeroDivisionError), (refusing_late, RunExistsError)],
    ids=["integrity", "bug", "late-refusal"],
)
async def test_what_fails_fails_alone(
    bench: Bench, verb: Callable[[Tx], object], error: type[Exception]
) -> None:
    answers = await together(bench, trash(1), verb, trash(2))
    assert isinstance(answers[1], outcome.Error)
    assert isinstance(answers[1].error, error)
    assert [answers[number].unwrap() for number in (0, 2)] == [1, 2]
    assert marks(bench) == [1, 2]
    assert bench.store.statistics().taken_back == 1
    assert not bench.conn.in_transaction


async def test_an_error_of_sqlite_is_explained_and_kept_as_the_cause(bench: Bench) -> None:
    with pytest.raises(StoreError, match="UNIQUE constraint failed") as caught:
        await bench.store._writer.submit(broken)
    assert isinstance(caught.value.__cause__, sqlite3.IntegrityError)


async def test_a_refusal_does_not_take_the_batch_back(bench: Bench) -> None:
    answers = await together(bench, trash(1), refusing, trash(2))
    assert isinstance(answers[1], outcome.Error)
    assert isinstance(answers[1].error, RunExistsError)
    assert marks(bench) == [1, 2]
    found = bench.store.statistics()
    assert (found.commits, found.taken_back) == (1, 0)


async def test_of_an_exchange_one_half_may_fail(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.create(run("r", "a"))
    claim = (await bench.claim())["a"]
    bench.rows("CREATE TRIGGER stop BEFORE INSERT ON attempts BEGIN SELECT raise(ABORT, 'no'); END")
    await bench.create(run("s", "b"))
    done = [Completion(claim.step_key, claim.token, Success())]
    exchanged = await bench.store.exchange(done, request())
    assert not isinstance(exchanged.completed, Exception)
    assert isinstance(exchanged.answer, StoreError)
    assert await bench.run_status("r") == "succeeded"
    assert await bench.statuses("s") == {"b": "ready"}
    bench.rows("DROP TRIGGER stop")
    assert list(await bench.claim()) == ["b"]
    assert await bench.is_sound()


async def test_many_tasks_that_create_claim_and_renew_leave_a_sound_store(bench: Bench) -> None:
    async def live(number: int) -> None:
        name = f"r{number}"
        await bench.create(run(name, "a", step("b", "a"), step("c", "a?")))
        for _ in range(3):
            for claim in (await bench.ask(3)).claims:
                await bench.end(claim)

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(live, number)
    while await bench.finish():
        pass
    assert [await bench.run_status(f"r{number}") for number in range(20)] == ["succeeded"] * 20
    assert await bench.is_sound()


# --- cancellation ----------------------------------------------------------------------------------------


async def test_cancelled_at_once_a_verb_never_happened(bench: Bench) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await bench.store._writer.submit(trash(1))
    assert scope.cancelled_caught
    assert marks(bench) == []


class Held:
    """A verb that waits in its thread until it is let go."""

    def __init__(self) -> None:
        self.started, self.go = threading.Event(), threading.Event()

    def __call__(self, tx: Tx) -> int:
        tx.run("into_trash", {"run_key": 50, "id": "50"})
        self.started.set()
        assert self.go.wait(10)
        return 50

    async def wait_started(self) -> None:
        assert await trio.to_thread.run_sync(self.started.wait, 10)


async def test_a_follower_cancelled_before_it_was_taken_never_happened(tmp_path: Path) -> None:
    held = Held()
    async with open_bench(tmp_path / "engine.db") as bench, trio.open_nursery() as nursery:
        nursery.start_soon(bench.store._writer.submit, held)
        await held.wait_started()
        with trio.CancelScope() as scope:
            nursery.start_soon(bench.store._writer.submit, trash(2))
            await wait_all_tasks_blocked()
            nursery.start_soon(_cancel, scope)
            await bench.store._writer.submit(trash(1))
        assert scope.cancelled_caught
        held.go.set()
        await bench.store._writer.submit(trash(3))
        assert marks(bench) == [2, 3, 50]


async def _cancel(scope: trio.CancelScope) -> None:
    await wait_all_tasks_blocked()
    scope.cancel()


@pytest.mark.parametrize("leads", [True, False], ids=["the-leader", "a-follower"])
async def test_a_verb_cancelled_once_it_was_taken_is_waited_for(tmp_path: Path, leads: bool) -> None:
    held, answers = Held(), list[int]()

    async def submit(verb: Callable[[Tx], int], scope: trio.CancelScope) -> None:
        with scope:
            answers.append(await bench.store._writer.submit(verb))

    async with open_bench(tmp_path / "engine.db") as bench:
        scope, other = trio.CancelScope(), trio.CancelScope()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(submit, held, scope if leads else other)
            nursery.start_soon(submit, trash(1), other if leads else scope)
            await held.wait_started()
            scope.cancel()
            await wait_all_tasks_blocked()
            assert answers == []
            held.go.set()
        assert sorted(answers) == [1, 50]
        assert not scope.cancelled_caught
        assert marks(bench) == [1, 50]


# --- the end ---------------------------------------------------------------------------------------------


async def test_a_severed_store_writes_nothing_more(bench: Bench) -> None:
    bench.store.sever()
    with pytest.raises(RuntimeClosedError):
        await bench.create(run("r", "a"))
    with pytest.raises(RuntimeClosedError):
        await bench.store.poll()
    assert await bench.store.reads.workflow("r") is None


async def test_a_store_severed_in_a_batch_that_is_tried_again_writes_nothing_more(bench: Bench) -> None:
    writer = bench.store._writer

    def sever(tx: Tx) -> int:
        if bench.store.statistics().taken_back:
            writer.sever()
        return trash(1)(tx)

    answers = await writer.submit_all((broken, sever, trash(2)), ORDINARY)
    assert [type(answer).__name__ for answer in answers] == ["Error", "Value", "Error"]
    assert marks(bench) == [1]  # the commit that had begun is the last


async def test_those_in_line_when_a_store_is_severed_are_told(tmp_path: Path) -> None:
    held, errors = Held(), list[BaseException]()

    async def submit(number: int) -> None:
        with pytest.raises(RuntimeClosedError) as caught:
            await bench.store._writer.submit(trash(number))
        errors.append(caught.value)

    async with open_bench(tmp_path / "engine.db") as bench:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(bench.store._writer.submit, held)
            await held.wait_started()
            nursery.start_soon(submit, 1)
            nursery.start_soon(submit, 2)
            await wait_all_tasks_blocked()
            bench.store.sever()
            held.go.set()
        assert len(errors) == 2
        assert marks(bench) == [50]


async def test_a_closed_store_answers_that_it_is_closed(bench: Bench) -> None:
    async with open_bench(bench.path) as second:
        pass
    with pytest.raises(RuntimeClosedError):
        await second.create(run("r", "a"))
    with pytest.raises(RuntimeClosedError):
        await second.store.reads.workflow("r")


async def test_what_another_process_committed_is_noticed_once_and_our_own_is_not(bench: Bench) -> None:
    await bench.store.poll()
    await bench.create(run("mine", "a"))
    assert not await bench.store.poll()
    async with open_bench(bench.path) as second:
        await second.create(run("theirs", "a"))
    assert await bench.store.poll()
    assert not await bench.store.poll()


async def test_the_log_is_copied_back_now_and_then(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trio_workflow.store.sqlite.log_checkpoint.LOG_CHANGES", 200)
    for number in range(20):
        await bench.create(run(f"r{number}", *(str(step_id) for step_id in range(50))))
    assert bench.store.statistics().checkpoints > 1
    assert bench.path.with_name("engine.db-wal").stat().st_size < 4 * 1024**2
    assert await bench.is_sound()
