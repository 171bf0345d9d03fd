"""What is printed of an object shows its state in a line."""

from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from artifact_kit import an_object
from store_kit import Bench, run
from stories import config, define, opened, opened_quietly
from trio.testing import MockClock

from trio_workflow import (
    FileArtifactStore,
    Package,
    Retryable,
    RunBuilder,
    RuntimeCrashedError,
    SQLiteProjectionStore,
    StepContext,
    StepError,
    executor,
    open_runtime,
)
from trio_workflow.model.times import EPOCH, LAST, to_datetime
from trio_workflow.offload import Offload
from trio_workflow.runtime.runtime import engine_of
from trio_workflow.runtime.session import Session


@executor("noop")
async def noop(step: StepContext) -> None: ...


PACKAGE = Package("letters")
PACKAGE.executor("write")(lambda step: None)
PACKAGE.executor("send")(lambda step: None)

SHOWN: list[tuple[object, str]] = [
    (noop, "<Executor 'noop' noop>"),
    (PACKAGE, "<Package 'letters' executors=['send', 'write']>"),
    (FileArtifactStore("/var/bytes"), "FileArtifactStore('/var/bytes')"),
    (SQLiteProjectionStore("/var/read"), "SQLiteProjectionStore('/var/read')"),
    (Offload(), "Offload(limiter=None)"),
]


@pytest.mark.parametrize(("one", "text"), SHOWN, ids=[text for _, text in SHOWN])
def test_what_users_make_shows_its_name(one: object, text: str) -> None:
    assert repr(one) == text


async def test_a_runtime_shows_whether_it_is_open(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with open_runtime(config(tmp_path, worker_id="w")) as rt:
        define(rt, noop)
        assert repr(rt) == "<Runtime 'w' open kinds=['noop']>"
    assert repr(rt) == "<Runtime 'w' closed kinds=['noop']>"
    with pytest.raises(RuntimeCrashedError):  # noqa: PT012 - it is the block
        async with opened_quietly(tmp_path, worker_id="w") as rt:
            (tmp_path / "engine.db").unlink()
            await rt.run_once()
    assert repr(rt) == "<Runtime 'w' crashed kinds=[]>"


async def test_what_a_run_is_made_with_shows_how_far_it_is(tmp_path: Path, autojump_clock: MockClock) -> None:
    shown: list[str] = []

    @executor("work")
    async def work(step: StepContext) -> None:
        shown.append(repr(step))
        (session,) = cast("list[Session]", list(engine_of(rt).hub._workers))
        shown.extend(map(repr, session.crew.holdings.values()))
        if step.attempt == 1:
            raise Retryable("busy", "later", delay=0.0)

    def start(run: RunBuilder) -> None:
        shown.append(repr(run))
        run.step("s", kind="work")
        shown.append(repr(run))

    async with opened(tmp_path) as rt:
        define(rt, work, graph=start)
        await rt.start_run("p", run_id="r")
        await rt.run_once()
        await rt.run_once()
    assert shown == [
        "<RunBuilder 'r' steps=0>",
        "<RunBuilder 'r' steps=1>",
        "<StepContext r/s attempt=1>",
        "<Holding r/s reason=None>",
        "<StepContext r/s attempt=2>",
        "<Holding r/s reason=None>",
    ]


async def test_a_stream_of_events_shows_what_waits_and_what_was_lost(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with opened(tmp_path) as rt, rt.events(buffer=2) as stream:
        define(rt, noop)
        assert repr(stream) == "<EventStream waiting=0 dropped=0>"
        for _ in range(3):
            await rt.start_run("p")
        assert repr(stream) == "<EventStream waiting=2 dropped=1>"


async def test_a_reader_shows_how_much_it_has_read(tmp_path: Path) -> None:
    store = FileArtifactStore(tmp_path)
    ref = await store.put(an_object(b"hello", id="one"))
    async with store.open(ref) as reader:
        assert repr(reader) == "FileReader('one', 0 of 5 bytes read)"
        await reader.read()
        assert repr(reader) == "FileReader('one', 5 of 5 bytes read)"


async def test_a_store_shows_its_file_and_its_commits(bench: Bench) -> None:
    before = bench.store._committer.statistics.commits
    await bench.create(run("r", "a"))
    assert repr(bench.store) == f"<OpenSQLiteStore {bench.path} commits={before + 1}>"


def test_an_error_reads_as_its_code_and_message() -> None:
    def error(message: str) -> StepError:
        return StepError(
            code="busy", message=message, retryable=True, details=None, occurred_at=EPOCH, traceback=""
        )

    assert [str(error("try again")), str(error(""))] == ["busy: try again", "busy"]


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (2**52 - 1, datetime(2112, 9, 17, 23, 53, 47, 370_495, UTC)),
        (2**52 + 1, datetime(2112, 9, 17, 23, 53, 47, 370_497, UTC)),
        (LAST * 2, datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_time_is_shown_to_the_microsecond_up_to_the_end_of_the_calendar(at: int, shown: datetime) -> None:
    assert to_datetime(at) == shown
