"""deterministic(seed): the same seed gives the same schedule, step by step."""

import os
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_workflow import (
    EventStream,
    Package,
    QueueConfig,
    Retryable,
    RetryPolicy,
    RunBuilder,
    StepContext,
    WorkflowError,
)
from trio_workflow.source import SOURCE
from trio_workflow.testing import deterministic, open_test_runtime, run_until_idle

_run: Any = trio._core._run


class Steps(trio.abc.Instrument):
    """Notes which task takes each step of the scheduler."""

    def __init__(self) -> None:
        self.trace: list[str] = []

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.trace.append(f"{trio.current_time():g} {task.name}")


def wide() -> Package:
    """Many steps that run side by side, sleep, retry with jitter, and emit."""
    made = Package("wide")

    @made.entrypoint
    def start(run: RunBuilder) -> None:
        flaky = RetryPolicy(jitter=1.0)
        first = [run.step(kind="work", queue=f"q{n % 3}", input=n, retry=flaky) for n in range(9)]
        run.step("last", kind="work", depends_on=first, input=99)

    @made.executor("work")
    async def work(step: StepContext, n: int) -> int:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(trio.lowlevel.checkpoint)
        if n % 4 == 1 and step.attempt == 1:
            raise Retryable("again")
        await trio.sleep(n % 3)
        if n == 2:
            step.emit(kind="work", input=50)
        return n

    return made


async def _program(log: list[str]) -> None:
    async with open_test_runtime(max_workers=6, default_queue=QueueConfig(max_workers=3)) as rt:
        rt.register_package(wide())
        async with rt.events() as events, trio.open_nursery() as nursery:
            nursery.start_soon(_note, events, log)
            await nursery.start(rt.start_workers)
            for _ in range(3):
                nursery.start_soon(rt.start_run, "wide")
            await trio.testing.wait_all_tasks_blocked()
            await run_until_idle(rt)
            nursery.cancel_scope.cancel()


async def _note(events: EventStream, log: list[str]) -> None:
    async for event in events:
        log.append(f"{event.at} {event.kind} {event.run_id} {event.step_id}")


def traced(seed: int) -> list[str]:
    steps, log = Steps(), list[str]()
    with deterministic(seed):
        trio.run(_program, log, clock=MockClock(autojump_threshold=0), instruments=[steps])
    assert len(log) > 60
    assert len(steps.trace) > 500
    return [*steps.trace, *log]


def test_one_seed_gives_one_schedule_and_another_gives_another() -> None:
    first = traced(1)
    assert traced(1) == first
    assert traced(2) != first


def test_the_schedule_is_the_same_in_every_process() -> None:
    program = "import test_determinism; print(*test_determinism.traced(7), sep='\\n')"
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hashes, "PYTHONPATH": os.pathsep.join([_HERE, *sys.path])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hashes in ("1", "2")
    }
    assert len(found) == 1


_HERE = str(Path(__file__).parent)


def test_everything_is_restored_also_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_run, "_ALLOW_DETERMINISTIC_SCHEDULING", False)  # hypothesis may have set it
    state = _run._r.getstate()
    before = SOURCE.replace(random.Random(0), mark="")
    SOURCE.replace(*before)
    with suppress(ZeroDivisionError), deterministic(3):
        assert _run._ALLOW_DETERMINISTIC_SCHEDULING
        _run._r.random()
        raise ZeroDivisionError
    assert _run._r.getstate() == state
    assert not _run._ALLOW_DETERMINISTIC_SCHEDULING
    assert SOURCE.replace(*before) == before


def test_tokens_never_repeat_though_ids_do() -> None:
    drawn = []
    for _ in range(2):
        with deterministic(5):
            drawn.append((SOURCE.tokens(2), SOURCE.uuid(), SOURCE.roll()))
    (tokens, *rest), (other_tokens, *other_rest) = drawn
    assert len({*tokens, *other_tokens}) == 4
    assert rest == other_rest


@pytest.mark.parametrize("name", ["_r", "_ALLOW_DETERMINISTIC_SCHEDULING"])
def test_a_trio_that_has_renamed_what_it_relies_on_is_told(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delattr(_run, name)
    with pytest.raises(WorkflowError, match=rf"does not know this trio.*{name}"), deterministic(1):
        pass


async def test_inside_a_trio_run_it_is_refused() -> None:
    with pytest.raises(WorkflowError, match="cannot start inside"), deterministic(1):
        pass
