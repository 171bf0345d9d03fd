"""Real processes on one file: killed, stopped past a lease, sharing limits, cancelling each other's runs."""

import itertools
import math
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from process_worker import many
from stories import ended, outcomes, states

from trio_workflow import Config, Package, Runtime, SQLiteStore, open_runtime

PATIENCE = 30.0


class Worker:
    """A worker process; its lines are waited for, never the time."""

    def __init__(self, process: trio.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process = process
        self._stdin, self._stdout = process.stdin, process.stdout
        self._text = ""

    async def tell(self, *words: str) -> None:
        await self._stdin.send_all((" ".join(words) + "\n").encode())

    async def says(self, wanted: str) -> None:
        """Wait for a line that begins like this."""
        seen: list[str] = []
        while True:
            while "\n" not in self._text:
                chunk = await self._stdout.receive_some()
                assert chunk, f"ended without saying {wanted!r}, after {seen}"
                self._text += chunk.decode()
            line, _, self._text = self._text.partition("\n")
            seen.append(line)
            if line.startswith(wanted):
                return

    async def rest(self) -> list[str]:
        """Let it end by itself; answers what it still says."""
        await self._stdin.aclose()
        while chunk := await self._stdout.receive_some():
            self._text += chunk.decode()
        assert await self.process.wait() == 0
        return self._text.splitlines()


Launch = Callable[..., Awaitable[Worker]]


@asynccontextmanager
async def processes(folder: Path) -> AsyncIterator[tuple[Runtime, Launch]]:
    """A runtime on the file, to look and to start runs with, and a way to launch workers on it."""
    script = Path(__file__).with_name("process_worker.py")
    file = str(folder / "engine.db")
    with trio.fail_after(PATIENCE):
        async with (
            open_runtime(Config(store=SQLiteStore(file, synchronous="OFF"), poll_interval=0.05)) as rt,
            trio.open_nursery() as nursery,
        ):
            rt.register_package(Package("many", entrypoint=many))

            async def launch(name: str, *options: str) -> Worker:
                run = partial(
                    trio.run_process,
                    [sys.executable, str(script), file, name, *options],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    check=False,
                    deliver_cancel=kill,
                )
                process = await nursery.start(run)
                worker = Worker(process)
                await worker.says("ready")
                return worker

            yield rt, launch
            assert await rt.check() == []
            nursery.cancel_scope.cancel()


async def kill(process: trio.Process) -> None:
    process.send_signal(signal.SIGCONT)
    process.kill()


async def test_a_process_that_is_killed_loses_nothing_and_another_finishes(tmp_path: Path) -> None:
    async with processes(tmp_path) as (rt, launch):
        run = await rt.start_run("many", {"count": 3, "kind": "work"})
        one = await launch("one", "lease=1.5")
        for _ in range(3):
            await one.says("start")
        one.process.send_signal(signal.SIGKILL)
        assert await one.process.wait() == -9
        assert set((await states(rt, run.id)).values()) == {"running"}
        two = await launch("two", "lease=1.5")
        await two.tell("go")
        assert (await run.wait()).status == "succeeded"
        for step_id in ("s0", "s1", "s2"):
            assert await outcomes(rt, run.id, step_id) == ["lease_lost", "succeeded"]
            assert (await ended(rt, run.id, step_id)).value() == "two 2"
        await two.rest()


async def test_acknowledged_work_survives_a_kill(tmp_path: Path) -> None:
    async with processes(tmp_path) as (rt, launch):
        one = await launch("one", "lease=1.5")
        run = await rt.start_run("many", {"count": 200, "kind": "short"})
        while not (done := [step.id for step in await rt.steps(run.id, status="succeeded")]):
            await trio.lowlevel.checkpoint()
        results = {step_id: await rt.result(run.id, step_id) for step_id in done}
        one.process.send_signal(signal.SIGKILL)
        assert await one.process.wait() == -9
        two = await launch("two", "lease=1.5")
        assert (await run.wait()).status == "succeeded"
        assert {step_id: await rt.result(run.id, step_id) for step_id in done} == results
        for step in await rt.steps(run.id):
            assert (await outcomes(rt, run.id, step.id)).count("succeeded") == 1
        await two.rest()


@pytest.mark.parametrize("kind", ["work", "zombie"])
async def test_a_process_stopped_past_its_lease_is_fenced(tmp_path: Path, kind: str) -> None:
    """Woken up, a "work" step is cancelled; a "zombie" goes on to its end, and its completion is refused."""
    async with processes(tmp_path) as (rt, launch):
        run = await rt.start_run("many", {"count": 1, "kind": kind})
        one = await launch("one", "lease=1.5")
        await one.says("start s0 1")
        one.process.send_signal(signal.SIGSTOP)
        two = await launch("two", "lease=1.5")
        await two.says("start s0 2")
        if kind == "zombie":
            await two.says("end s0 2")
            assert (await run.wait()).status == "succeeded"
            one.process.send_signal(signal.SIGCONT)
            await one.tell("go")
            await one.says("end s0 1")
        else:
            one.process.send_signal(signal.SIGCONT)
            await one.says("cancelled s0 1")
            await two.tell("go")
            assert (await run.wait()).status == "succeeded"
        assert "end s0 1" not in await one.rest()
        await two.rest()
        assert await outcomes(rt, run.id, "s0") == ["lease_lost", "succeeded"]
        result = await ended(rt, run.id, "s0")
        assert result.value() == "two 2"
        if kind == "zombie":
            assert [record.value() for record in result.records] == ["two"]
            assert len(await rt.steps(run.id)) == 2


async def test_a_run_is_cancelled_from_another_process(tmp_path: Path) -> None:
    async with processes(tmp_path) as (rt, launch):
        run = await rt.start_run("many", {"count": 2, "kind": "work"})
        one = await launch("one", "lease=1000")  # so that no renewal tells it
        await one.says("start")
        await one.says("start")
        two = await launch("two")
        await two.tell("cancel", run.id)
        await two.says("canceled")
        await one.says("cancelled")
        await one.says("cancelled")
        await one.tell("wait", run.id)
        await one.says("canceled")
        await one.rest()
        await two.rest()
        assert await states(rt, run.id) == {"s0": "canceled", "s1": "canceled"}
        assert await outcomes(rt, run.id, "s0") == ["canceled"]


async def spans(rt: Runtime, run_id: str) -> list[dict[str, Any]]:
    results = [await ended(rt, run_id, step.id) for step in await rt.steps(run_id)]
    return sorted((result.value(dict[str, Any]) for result in results), key=lambda span: span["began"])


async def test_processes_share_a_queues_limit(tmp_path: Path) -> None:
    async with processes(tmp_path) as (rt, launch):
        workers = [await launch(name, "limit=2") for name in ("one", "two")]
        run = await rt.start_run("many", {"count": 40, "kind": "short", "queue": "q"})
        assert (await run.wait()).status == "succeeded"
        for worker in workers:
            await worker.rest()
        found = await spans(rt, run.id)
        at_once = max(
            sum(other["began"] < span["ended"] and span["began"] < other["ended"] for other in found)
            for span in found
        )
        # A span may touch two that follow each other; more than two never overlap in one moment.
        moments = [span["began"] for span in found]
        assert all(sum(s["began"] <= moment < s["ended"] for s in found) <= 2 for moment in moments)
        assert at_once >= 2


async def test_processes_share_a_rate_limit(tmp_path: Path) -> None:
    rate, burst = 50, 3
    async with processes(tmp_path) as (rt, launch):
        workers = [await launch(name, f"rate={rate},{burst}", "limit=9") for name in ("one", "two")]
        run = await rt.start_run("many", {"count": 30, "kind": "short", "queue": "q"})
        assert (await run.wait()).status == "succeeded"
        for worker in workers:
            await worker.rest()
        results = [await ended(rt, run.id, step.id) for step in await rt.steps(run.id)]
        starts = sorted(result.attempts[0].started_at.timestamp() for result in results)
        for first, last in itertools.combinations(range(len(starts)), 2):
            window = starts[last] - starts[first]
            assert last - first + 1 <= burst + math.floor(rate * window + 1e-6) + 1
