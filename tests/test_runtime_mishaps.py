"""Mishaps of a runtime: what cannot be stored, what cannot be removed, what cannot even be told."""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from stories import (
    define,
    ended,
    error_of,
    opened,
    opened_quietly,
    outcomes,
    recorded,
    states,
    working,
)
from trio.testing import MockClock, wait_all_tasks_blocked

from trio_workflow import (
    FileArtifactStore,
    RunBuilder,
    RuntimeCrashedError,
    SQLiteStore,
    StepContext,
    Store,
    StoreUnavailableError,
    executor,
)
from trio_workflow.clock import Clock
from trio_workflow.model.changes import ClaimAnswer, ClaimRequest
from trio_workflow.model.outcome import Completion, Success
from trio_workflow.points import POINTS, Point
from trio_workflow.runtime.inline_reader import CHUNK
from trio_workflow.store import Exchanged


@executor("noop")
async def noop(step: StepContext) -> None: ...


# --- outcomes that cannot be stored ----------------------------------------------------------------------


class Picky:
    """A SQLite store that cannot store successes; after so many refusals it cannot be reached at all."""

    def __init__(self, folder: Path, refusals: float) -> None:
        self._inner = SQLiteStore(folder / "engine.db", synchronous="OFF")
        self.refusals = refusals
        self.takes_failures = True
        self.claimed: list[str] = []  # ids of runs
        self.refused: Callable[[], None] = lambda: None

    @asynccontextmanager
    async def open(self, clock: Clock) -> AsyncIterator[Store]:
        async with self._inner.open(clock) as store:
            real = store.exchange

            async def exchange(done: Sequence[Completion], wanted: ClaimRequest | None) -> Exchanged:
                error = self._error(done)
                if error is None:
                    exchanged = await real(done, wanted)
                    if isinstance(exchanged.answer, ClaimAnswer):
                        self.claimed += [claim.run_id for claim in exchanged.answer.claims]
                    return exchanged
                await trio.lowlevel.checkpoint()
                return Exchanged(error, None)

            picky: Any = store
            picky.exchange = exchange
            yield store

    def _error(self, done: Sequence[Completion]) -> Exception | None:
        is_bad = any(isinstance(each.outcome, Success) or not self.takes_failures for each in done)
        if not is_bad:
            return None
        self.refusals -= 1
        self.refused()
        return StoreUnavailableError("it is gone") if self.refusals < 0 else ValueError("too odd")


async def test_an_outcome_that_cannot_be_stored_fails_its_step(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path, store=Picky(tmp_path, 1000)) as rt:
        define(rt, noop)
        run = await rt.start_run("p")
        assert (await rt.run_once()).failed == 1
        assert await error_of(rt, run.id) == (
            "invalid_output",
            "what the step produced cannot be stored: too odd",
        )


async def test_an_outcome_whose_failure_cannot_be_stored_either_ends_the_runtime(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    store = Picky(tmp_path, 1000)
    store.takes_failures = False
    with pytest.raises(RuntimeCrashedError, match="too odd"):  # noqa: PT012 - it is the block
        async with opened_quietly(tmp_path, store=store) as rt:
            define(rt, noop)
            await rt.start_run("p")
            await rt.run_once()


async def test_an_outcome_refused_by_a_store_that_then_goes_away_is_kept_for_later(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    store = Picky(tmp_path, 1)
    async with opened(tmp_path, store=store, poll_interval=1) as rt:
        define(rt, noop)
        run = await rt.start_run("p")
        async with working(rt):
            await trio.sleep(3)
            assert await states(rt, run.id) == {"s": "running"}
            store.refusals = 1000
            await run.wait()
        assert await outcomes(rt, run.id) == ["failed"]


async def test_nothing_is_claimed_by_workers_that_are_drained_while_outcomes_are_offered_alone(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    store = Picky(tmp_path, 1000)
    async with opened(tmp_path, store=store, max_workers=1) as rt, trio.open_nursery() as nursery:
        define(rt, noop)
        first, second = await rt.start_run("p"), await rt.start_run("p")
        store.refused = lambda: nursery.start_soon(rt.drain)
        async with working(rt):
            await first.wait()
        assert store.claimed == [first.id]
        assert await states(rt, second.id) == {"s": "ready"}


# --- mistakes of ours ------------------------------------------------------------------------------------


class Mistake:
    """An onlooker in whose look something of ours goes wrong."""

    def look(self, point: Point, *about: object) -> None:
        if point is Point.END:
            raise ZeroDivisionError("ours")

    async def wait(self, point: Point, about: object) -> None:
        pass


async def test_a_mistake_in_the_engine_ends_the_runtime_and_leaves_no_slot_taken(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    with pytest.raises(RuntimeCrashedError, match="ours") as caught:  # noqa: PT012 - it is the block
        async with opened_quietly(tmp_path) as rt:
            define(rt, noop)
            await rt.start_run("p")
            with POINTS.watched_by(Mistake()):
                await rt.run_once()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    async with opened(tmp_path) as rt:  # the step is taken up again when its lease has run out
        define(rt, noop)
        await trio.sleep(60)
        assert (await rt.run_once()).succeeded == 1


# --- runs that cannot be removed -------------------------------------------------------------------------


class Stubborn(FileArtifactStore):
    """Cannot delete until told that it can."""

    can_delete = False

    async def delete(self, ref_or_id: Any, /) -> None:
        if not self.can_delete:
            raise PermissionError("not allowed")
        await super().delete(ref_or_id)


async def test_ended_runs_that_cannot_be_removed_are_tried_again(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    @executor("work")
    async def work(step: StepContext) -> None:
        await step.store_artifact("a", "text/plain", b"a")

    store = Stubborn(tmp_path / "artifacts")
    async with opened(tmp_path, artifact_store=store, keep_finished=50) as rt:
        define(rt, work)
        run = await rt.start_run("p")
        async with working(rt):
            await trio.sleep(100)
            assert await rt.workflow(run.id) is None
            assert [path for path in (tmp_path / "artifacts").rglob("*") if path.name.endswith(".json")]
            store.can_delete = True
            await trio.sleep(100)
        [warning] = [r.message for r in caplog.records if r.levelno == logging.WARNING]
        assert warning == (
            f'the bytes of artifact "{run.id}/s/artifact:001" could not be removed, and will be tried again: '
            "PermissionError: not allowed"
        )
        assert not [path for path in (tmp_path / "artifacts").rglob("*") if path.name.endswith(".json")]


async def test_a_database_found_lost_while_runs_are_removed_ends_the_runtime(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    with pytest.raises(RuntimeCrashedError, match="was deleted"):  # noqa: PT012 - it is the block
        async with opened_quietly(tmp_path, keep_finished=10) as rt, trio.open_nursery() as nursery:
            await nursery.start(rt.start_workers)
            await wait_all_tasks_blocked()
            (tmp_path / "engine.db").unlink()
            await trio.sleep(1000)
            raise AssertionError("it goes on")


# --- errors that can hardly be told ----------------------------------------------------------------------


class SecretiveError(Exception):
    """An exception that does not let itself be printed."""

    @property
    def __suppress_context__(self) -> bool:  # type: ignore[override]  # it breaks on purpose
        raise LookupError("nobody knows")


async def test_an_exception_without_a_traceback_to_be_had_is_stored_all_the_same(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("secretive")
    async def secretive(step: StepContext) -> None:
        raise SecretiveError("a secret")

    async with opened(tmp_path) as rt:
        define(rt, secretive)
        run = await rt.start_run("p")
        await rt.run_once()
        error = (await ended(rt, run.id)).error
        assert error is not None
        assert (error.code, error.message) == ("executor_error", "SecretiveError: a secret")
        assert error.traceback == "(no traceback: formatting it raised LookupError)"


# --- watching --------------------------------------------------------------------------------------------


async def test_moves_without_events_cost_a_small_stream_nothing(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    @executor("fail")
    async def fail(step: StepContext) -> None:
        raise RuntimeError("broken")

    def start(run: RunBuilder) -> None:
        first = run.step("s", kind="fail")
        for number in range(20):
            run.step(f"after {number}", kind="noop", depends_on=first)

    async with opened(tmp_path) as rt:
        define(rt, fail, noop, graph=start)
        run = await rt.start_run("p")
        await rt.run_once()
        async with rt.events(buffer=3) as stream:
            await rt.retry_step(run.id, "s")
            assert stream.dropped == 0
            assert (await stream.receive()).kind == "run_updated"


async def test_one_of_two_who_wait_for_a_run_may_leave(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with opened(tmp_path) as rt, trio.open_nursery() as nursery:
        define(rt, noop)
        run = await rt.start_run("p")
        told: list[str] = []

        async def wait() -> None:
            told.append((await run.wait()).status.value)

        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        with trio.move_on_after(1):
            await run.wait()
        assert told == []
        await rt.run_once()
        await wait_all_tasks_blocked()
        assert told == ["succeeded"]


async def test_statistics_tell_how_many_calls_share_a_commit(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path) as rt:
        define(rt, noop)
        assert rt.statistics().batch_size == 0.0
        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(rt.start_run, "p", number)
        statistics = rt.statistics()
        assert statistics.batch_size == statistics.calls / statistics.commits > 1


async def test_an_inline_artifact_is_read_in_pieces(tmp_path: Path, autojump_clock: MockClock) -> None:
    body = bytes(range(256)) * 4096 * 2 + b"rest"

    @executor("work")
    async def work(step: StepContext) -> None:
        step.artifact("large", "application/octet-stream", body)

    async with opened(tmp_path) as rt:
        define(rt, work)
        run = await rt.start_run("p")
        await rt.run_once()
        async with rt.open_artifact(run.id, "s", "large") as reader:
            pieces = [piece async for piece in reader]
            assert (await reader.read(), b"".join(pieces)) == (b"", body)
        assert [len(piece) for piece in pieces] == [CHUNK, CHUNK, 4]


async def test_a_kind_registered_while_a_claim_is_under_way_is_not_reported_as_unclaimed(
    tmp_path: Path, autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    class Register:
        """Registers the executor when the claim has been committed and is not answered yet."""

        def look(self, point: Point, *about: object) -> None:
            if point is Point.COMMITTED and "late" not in registered:
                registered.append("late")
                rt.register_executor(late)

        async def wait(self, point: Point, about: object) -> None:
            pass

    @executor("late")
    async def late(step: StepContext) -> None: ...

    registered: list[str] = []
    async with opened(tmp_path) as rt, recorded(rt) as events:
        define(rt, noop, graph=lambda run: run.step("s", kind="late"))
        await rt.start_run("p")
        with POINTS.watched_by(Register()):
            await rt.run_once()
        await wait_all_tasks_blocked()
        assert registered == ["late"]
        assert "kind_unclaimed" not in [event.kind for event in events]
        assert not caplog.records
        assert (await rt.run_once()).succeeded == 1
