"""examples/worker.py: real processes that are stopped and killed."""

import os
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from crawler import site
from crawler_kit import EXAMPLES, config

from trio_workflow import open_runtime

# Stub pages spare the processes most of the rendering.


def write_stubs(state: Path, but: int = 0) -> None:
    """A page for each module but the first few, that links to the next three."""
    folder = state / site.HOST
    folder.mkdir(parents=True)
    for number, name in enumerate(site.MODULES):
        links = "".join(
            f'<a href="{other}.html">{other}</a>' for other in site.MODULES[number + 1 : number + 4]
        )
        if number >= but:
            (folder / f"{name}.html").write_text(f"<title>{name}</title>{links}")


class Worker:
    """A process of the example. text: what it has said so far."""

    def __init__(self, process: trio.Process) -> None:
        self.process = process
        self.text = ""

    async def listen(self) -> None:
        assert self.process.stdout is not None
        async for chunk in self.process.stdout:
            self.text += chunk.decode()

    @property
    def asked_for(self) -> int:
        """What the report on the screen says."""
        found = re.search(r"Pages asked for +(\d+)", self.text)
        return int(found[1]) if found else -1

    @property
    def report(self) -> str:
        """The report on the screen."""
        return self.text.partition("Crawl of")[2]

    async def wait(self) -> int:
        with trio.fail_after(60):
            return await self.process.wait()


@asynccontextmanager
async def started(state: Path, *args: str) -> AsyncIterator[Worker]:
    command = [sys.executable, str(EXAMPLES / "worker.py"), "--state", str(state), "--lease", "2", *args]
    run = partial(trio.run_process, command, stdout=-1, stderr=-2, check=False)
    async with trio.open_nursery() as nursery:
        worker = Worker(await nursery.start(run))
        nursery.start_soon(worker.listen)
        try:
            yield worker
        finally:
            if worker.process.returncode is None and sys.exc_info()[0]:
                worker.process.kill()


async def run_to_the_end(state: Path, *args: str) -> Worker:
    async with started(state, *args) as worker:
        await worker.wait()
    return worker


def pages_served(state: Path) -> Counter[str]:
    """How often each page was answered with 200, by what the sites' servers wrote down."""
    log = state / "access.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return Counter(line.split()[1] for line in lines if line.startswith("200 "))


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    while not await is_so():  # noqa: ASYNC110 - it is another process that we wait for
        await trio.sleep(0.01)


async def until_served(state: Path, pages: int) -> None:
    async def are_served() -> bool:
        return len(pages_served(state)) >= pages

    with trio.fail_after(60):
        await until(are_served)


async def attempts_of(state: Path) -> dict[str, list[tuple[str, str]]]:
    """Of each step of the crawl, worker and outcome of its attempts; the store is found to be sound."""
    async with open_runtime(config(state)) as rt:
        assert await rt.check() == []
        steps = [step.id for step in await rt.steps("crawl")]
        results = {step: await rt.result("crawl", step) for step in steps}
    return {
        step: [(a.worker_id, str(a.outcome)) for a in result.attempts]
        for step, result in results.items()
        if result is not None
    }


async def have_all_worked(state: Path, ids: set[str]) -> bool:
    if not pages_served(state):
        return False
    return ids <= {worker for ended in (await attempts_of(state)).values() for worker, _ in ended}


async def is_any_lease_lost(state: Path) -> bool:
    return any(lost_of(await attempts_of(state)).values())


def lost_of(attempts: dict[str, list[tuple[str, str]]]) -> dict[str, int]:
    """How often each page's fetch lost its lease."""
    return {
        step.partition(site.HOST)[2]: sum(outcome == "lease_lost" for _, outcome in ended)
        for step, ended in attempts.items()
        if step.startswith("fetch:")
    }


async def test_the_documentation_is_crawled_and_the_report_is_shown_again_at_once(tmp_path: Path) -> None:
    write_stubs(tmp_path, but=20)
    first = await run_to_the_end(tmp_path, "--max-pages", "15")
    assert first.process.returncode == 0, first.text
    assert first.asked_for == 15
    assert "Python: package asyncio" in first.text
    served = pages_served(tmp_path)
    page = tmp_path / "report.html"
    assert "<svg" in page.read_text()

    page.unlink()
    second = await run_to_the_end(tmp_path, "--max-pages", "15")
    assert second.process.returncode == 0
    assert second.report == first.report
    assert page.exists()
    assert pages_served(tmp_path) == served

    other = await run_to_the_end(tmp_path, "--max-pages", "16")
    assert other.process.returncode == 2
    assert "holds another crawl" in other.text

    fresh = await run_to_the_end(tmp_path, "--max-pages", "3", "--fresh")
    assert fresh.process.returncode == 0, fresh.text
    assert fresh.asked_for == 3


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_running_steps_end_and_the_next_start_goes_on(
    tmp_path: Path, signum: int
) -> None:
    write_stubs(tmp_path)
    args = ("--max-pages", "60", "--rate", "40")
    async with started(tmp_path, *args) as worker:
        await until_served(tmp_path, 10)
        worker.process.send_signal(signum)
        assert await worker.wait() == 128 + signum
    assert "Stopped." in worker.text
    assert 10 <= len(pages_served(tmp_path)) < 60
    attempts = await attempts_of(tmp_path)
    assert {outcome for ended in attempts.values() for _, outcome in ended} <= {
        "succeeded",
        "retried",
        "failed",
        "released",  # claimed when the signal came, and not started
    }

    again = await run_to_the_end(tmp_path, *args)
    assert again.process.returncode == 0, again.text
    assert max(pages_served(tmp_path).values()) == 1


async def test_a_worker_that_was_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    write_stubs(tmp_path)
    args = ("--max-pages", "80", "--rate", "40")
    async with started(tmp_path, *args) as worker:
        await until_served(tmp_path, 20)
        worker.process.kill()
        assert await worker.wait() == -signal.SIGKILL
    before = pages_served(tmp_path)
    assert len(before) < 70

    again = await run_to_the_end(tmp_path, *args)
    assert again.process.returncode == 0, again.text
    assert again.asked_for == 80
    lost = lost_of(await attempts_of(tmp_path))
    served = pages_served(tmp_path)
    assert {page: n for page, n in served.items() if n > 1 + lost.get(page, 0)} == {}
    assert sum(lost.values()) <= 8


async def test_two_workers_share_a_crawl_though_one_is_stopped_past_its_lease(tmp_path: Path) -> None:
    write_stubs(tmp_path)
    args = ("--max-pages", "120", "--rate", "40")
    async with started(tmp_path, *args) as one, started(tmp_path, *args) as other:
        ids = {f"crawler-{worker.process.pid}" for worker in (one, other)}
        with trio.fail_after(60):
            await until(partial(have_all_worked, tmp_path, ids))
        os.kill(one.process.pid, signal.SIGSTOP)
        # Until what it was doing has been taken up. Stopped in the middle of a write, it holds up all others.
        with trio.move_on_after(4):
            await until(partial(is_any_lease_lost, tmp_path))
        os.kill(one.process.pid, signal.SIGCONT)
        assert (await one.wait(), await other.wait()) == (0, 0)
    assert one.report == other.report != ""
    lost = lost_of(await attempts_of(tmp_path))
    assert {page: n for page, n in pages_served(tmp_path).items() if n > 1 + lost.get(page, 0)} == {}
