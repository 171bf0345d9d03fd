"""Lists and pages, and how the queues stand."""

import pytest
from store_kit import PERMANENT, WIDE, Bench, jump, run, step

from trio_workflow.errors import OptionError
from trio_workflow.model.outcome import RecordWrite, Released, Success
from trio_workflow.model.policy import QueueConfig, RateLimit
from trio_workflow.model.records import QueueStatus
from trio_workflow.model.status import RunStatus, StepStatus
from trio_workflow.model.times import to_datetime


async def run_ids(
    bench: Bench,
    *,
    package: str | None = None,
    status: RunStatus | None = None,
    metadata: dict[str, str] | None = None,
    limit: int = 2,
) -> list[str]:
    """Of all pages; each but the last is full."""
    found: list[str] = []
    after: str | None = None
    while True:
        page = await bench.store.reads.runs(
            package=package, status=status, metadata=metadata, limit=limit, after=after
        )
        found += [item.id for item in page]
        if page.next is None:
            return found
        assert len(page) == limit
        after = page.next


async def some_runs(bench: Bench) -> None:
    """Six runs: packages p and q, tagged by parity and size; the first two have ended."""
    for number in range(6):
        package = "p" if number < 4 else "q"
        metadata = {"even": str(number % 2 == 0), "big": str(number > 2)}
        await bench.create(run(str(number), "a", package=package, metadata=metadata))
    await bench.finish(1)
    await bench.finish(1, PERMANENT)


async def test_runs_are_listed_newest_first_in_pages(bench: Bench) -> None:
    await some_runs(bench)
    assert await run_ids(bench) == list("543210")
    assert await run_ids(bench, limit=6) == list("543210")
    assert await run_ids(bench, limit=1) == list("543210")


async def test_runs_are_listed_by_package_status_and_metadata_in_any_combination(bench: Bench) -> None:
    await some_runs(bench)
    assert await run_ids(bench, package="p") == list("3210")
    assert await run_ids(bench, package="none") == []
    assert await run_ids(bench, status=RunStatus.SUCCEEDED) == ["0"]
    assert await run_ids(bench, status=RunStatus.FAILED) == ["1"]
    assert await run_ids(bench, status=RunStatus.PENDING) == list("5432")
    assert await run_ids(bench, package="p", status=RunStatus.PENDING) == list("32")
    assert await run_ids(bench, metadata={"even": "True"}) == list("420")
    assert await run_ids(bench, metadata={"even": "True", "big": "True"}) == ["4"]
    assert await run_ids(bench, metadata={"big": "True", "even": "False"}, limit=1) == list("53")
    assert await run_ids(bench, metadata={"even": "maybe"}) == []
    assert await run_ids(bench, metadata={"even": "False"}, package="p") == list("31")
    assert await run_ids(bench, metadata={"even": "False"}, status=RunStatus.FAILED) == ["1"]
    assert await run_ids(bench, metadata={"even": "False"}, package="q", status=RunStatus.FAILED) == []


async def test_a_run_that_comes_between_two_pages_shifts_nothing(bench: Bench) -> None:
    await some_runs(bench)
    page = await bench.store.reads.runs(package=None, status=None, metadata=None, limit=3, after=None)
    await bench.create(run("new", "a"))
    rest = await bench.store.reads.runs(package=None, status=None, metadata=None, limit=3, after=page.next)
    assert [item.id for item in (*page, *rest)] == list("543210")
    assert rest.next is None


async def test_steps_are_listed_in_creation_order_and_by_status(bench: Bench) -> None:
    await bench.create(
        run("r", "z", "y", "x", "w", step("v", "x"), step("u", "x z"), step("t", "y?", kind="o"))
    )
    claims = await bench.claim(3)
    await bench.end_all((claims["z"], Success()), (claims["y"], PERMANENT))
    await bench.create(run("s", "z"))
    reads = bench.store.reads

    async def ids(status: StepStatus | None) -> list[str]:
        found: list[str] = []
        after: str | None = None
        while True:
            page = await reads.steps("r", status=status, limit=2, after=after)
            found += [item.id for item in page]
            if page.next is None:
                return found
            after = page.next

    assert await ids(None) == list("zyxwvut")
    assert await ids(StepStatus.SUCCEEDED) == ["z"]
    assert await ids(StepStatus.FAILED) == ["y"]
    assert await ids(StepStatus.RUNNING) == ["x"]
    assert await ids(StepStatus.READY) == ["w", "t"]
    assert await ids(StepStatus.PENDING) == ["v", "u"]
    assert await ids(StepStatus.CANCELED) == []
    await bench.end(claims["x"], PERMANENT)
    assert await ids(StepStatus.CANCELED) == ["v", "u"]
    assert (await reads.steps("none", status=None, limit=2, after=None)).items == ()


async def test_records_are_listed_by_collection_over_runs_or_of_one(bench: Bench) -> None:
    for number in range(3):
        await bench.create(run(str(number), "a"))
        claim = (await bench.claim())["a"]
        writes = tuple(
            RecordWrite(name, f"{number}{key}", "1") for key in range(2) for name in ("books", "pages")
        )
        await bench.end(claim, Success(records=writes))
    reads = bench.store.reads
    first = await reads.records("books", run_id=None, limit=4, after=None)
    rest = await reads.records("books", run_id=None, limit=4, after=first.next)
    assert [record.key for record in (*first, *rest)] == ["00", "01", "10", "11", "20", "21"]
    assert rest.next is None
    one = await reads.records("pages", run_id="1", limit=1, after=None)
    two = await reads.records("pages", run_id="1", limit=1, after=one.next)
    assert [(record.run_id, record.step_id, record.key) for record in (*one, *two)] == [
        ("1", "a", "10"),
        ("1", "a", "11"),
    ]
    assert two.next is None
    assert (await reads.records("none", run_id=None, limit=1, after=None)).items == ()


@pytest.mark.parametrize("after", ["", "x", "1.5"])
async def test_a_cursor_that_no_page_gave_is_refused(bench: Bench, after: str) -> None:
    with pytest.raises(OptionError, match="after must be the `next` of a page"):
        await bench.store.reads.runs(package=None, status=None, metadata=None, limit=1, after=after)


async def test_a_result_is_there_once_an_attempt_has_ended(bench: Bench) -> None:
    await bench.create(run("r", "a"))
    reads = bench.store.reads
    assert await reads.result("r", "a") is None
    claim = (await bench.claim())["a"]
    assert await reads.result("r", "a") is None
    assert await reads.result("r", "none") is None
    await bench.end(claim, Released())
    ended = await reads.result("r", "a")
    assert ended is not None
    assert ended.data is None
    assert await reads.dependency_result("r", "a") is None
    await bench.finish()
    done = await reads.dependency_result("r", "a")
    assert done is not None
    assert (done.data, done.emitted_ids, len(done.attempts)) == ("null", (), 2)


async def test_the_states_of_many_runs_are_read_at_once(bench: Bench) -> None:
    await some_runs(bench)
    states = await bench.store.reads.run_states(["0", "1", "2", "none"])
    assert states == {"0": RunStatus.SUCCEEDED, "1": RunStatus.FAILED, "2": RunStatus.PENDING}


async def test_queues_tell_what_they_hold_and_what_they_may(bench: Bench) -> None:
    rate = RateLimit(1.0, burst=4)
    await bench.store.configure_queues({"b": QueueConfig(3, rate), "idle": QueueConfig(7)})
    start = bench.now()
    await bench.create(
        run("r", *(step(f"b{number}", queue="b") for number in range(4)), step("c", queue="a", delay=5.0))
    )
    await bench.claim(1)
    jump(0.5)
    assert await bench.store.reads.queues(WIDE, bench.now()) == [
        QueueStatus(
            queue="a",
            ready=1,
            running=0,
            max_workers=100,
            rate_limit=None,
            tokens=None,
            oldest_ready_at=to_datetime(start + 5_000_000),
        ),
        QueueStatus(
            queue="b",
            ready=3,
            running=1,
            max_workers=3,
            rate_limit=rate,
            tokens=3.5,
            oldest_ready_at=to_datetime(start),
        ),
        QueueStatus(
            queue="idle",
            ready=0,
            running=0,
            max_workers=7,
            rate_limit=None,
            tokens=None,
            oldest_ready_at=None,
        ),
    ]


async def test_limits_are_stored_and_the_last_to_say_decides(bench: Bench) -> None:
    await bench.store.configure_queues({"a": QueueConfig(1, RateLimit(2.5, 3)), "b": QueueConfig(0)})
    await bench.store.configure_queues({"a": QueueConfig(4)})
    assert await bench.store.queue_limits() == {"a": QueueConfig(4), "b": QueueConfig(0)}
