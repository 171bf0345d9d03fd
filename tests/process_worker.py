"""A worker process for test_processes.py: says on standard output what it does, and does what it is told.

Usage: process_worker.py FILE NAME [lease=SECONDS] [poll=SECONDS] [rate=PER_SECOND,BURST] [limit=N]
Standard input ends a "work" step ("go"), cancels a run ("cancel ID"), or ends the process ("quit").
"""

import sys
import time
from typing import Any

import trio

from trio_workflow import (
    Config,
    Package,
    QueueConfig,
    RateLimit,
    RunBuilder,
    Runtime,
    SQLiteStore,
    StepContext,
    executor,
    open_runtime,
)

file = name = ""  # both are set below
options: dict[str, str] = {}
go = trio.Event()


def say(*words: object) -> None:
    print(*words, flush=True)


@executor("work")
async def work(step: StepContext) -> str:
    """Starts, and ends when told to."""
    say("start", step.id, step.attempt)
    try:
        await go.wait()
    except trio.Cancelled:
        say("cancelled", step.id, step.attempt)
        raise
    say("end", step.id, step.attempt)
    return f"{name} {step.attempt}"


@executor("zombie")
async def zombie(step: StepContext) -> str:
    """Cannot be cancelled by trio: it is inside a call that the process is stopped in."""
    say("start", step.id, step.attempt)
    if step.attempt == 1:
        with trio.CancelScope(shield=True):
            await go.wait()
    step.record("pages", step.id, name)
    step.emit(kind="short")
    say("end", step.id, step.attempt)
    return f"{name} {step.attempt}"


@executor("short")
async def short(step: StepContext) -> dict[str, Any]:
    """Says when it ran, on the clock that all processes share."""
    began = time.monotonic()
    await trio.sleep(0.01)
    return {"by": name, "began": began, "ended": time.monotonic()}


def many(run: RunBuilder, steps: dict[str, Any]) -> None:
    for number in range(steps["count"]):
        run.step(f"s{number}", kind=steps["kind"], queue=steps.get("queue", "default"))


async def obey(rt: Runtime, scope: trio.CancelScope) -> None:
    async for line in trio.wrap_file(sys.stdin):
        command, *words = line.split()
        if command == "go":
            go.set()
        elif command == "cancel":
            await rt.cancel_run(words[0])
            say("canceled")
        elif command == "wait":
            say((await rt.wait(words[0])).status)
    scope.cancel()


async def main() -> None:
    rate = options.get("rate")
    limit = RateLimit(*(int(word) for word in rate.split(","))) if rate else None
    queues = {"q": QueueConfig(int(options.get("limit", 2)), limit)}
    settings = Config(
        store=SQLiteStore(file, synchronous="OFF"),
        worker_id=name,
        lease_duration=float(options.get("lease", 30)),
        poll_interval=float(options.get("poll", 0.05)),
        max_workers=4,
        queues=queues,
        default_queue=QueueConfig(4),
    )
    async with open_runtime(settings) as rt, trio.open_nursery() as nursery:
        rt.register_package(Package("many", entrypoint=many))
        for each in (work, zombie, short):
            rt.register_executor(each)
        await nursery.start(rt.start_workers)
        nursery.start_soon(obey, rt, nursery.cancel_scope)
        say("ready")


if __name__ == "__main__":
    _, file, name, *given = sys.argv
    options = dict(option.split("=") for option in given)
    trio.run(main)
