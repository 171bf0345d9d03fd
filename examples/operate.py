"""What an operator does: look into a failed run, retry it once the cause is gone, cancel another one.

    python examples/operate.py

The export fails, because the folder it writes to does not exist. Everything is in a temporary folder.
"""

import tempfile
from pathlib import Path

import attrs
import trio

from trio_workflow import (
    Config,
    Package,
    Retryable,
    RetryPolicy,
    RunBuilder,
    Runtime,
    SQLiteStore,
    StepContext,
    open_runtime,
)

TWICE = RetryPolicy(max_attempts=2, initial_backoff=0.01)
export = Package("export")


@attrs.frozen
class Export:
    folder: str
    delay: float = 0.0


@export.entrypoint
def start(run: RunBuilder, job: Export) -> None:
    write = run.step("write", job, kind="export/write", queue="disk", delay=job.delay, retry=TWICE)
    run.step("announce", job, kind="export/announce", depends_on=write)


@export.executor("export/write")
async def write(step: StepContext, job: Export) -> None:
    try:
        await trio.Path(job.folder, "export.txt").write_text("all there is\n")
    except FileNotFoundError as error:
        raise Retryable("no_folder", error) from error


@export.executor("export/announce")
async def announce(step: StepContext, job: Export) -> str:
    return "the export is ready"


async def show(rt: Runtime, title: str, run_id: str) -> None:
    run = await rt.workflow(run_id)
    assert run is not None
    print(f"{title}: run {run.id} is {run.status}")
    for step in await rt.steps(run_id):
        because = f", because of {step.canceled_by}" if step.canceled_by else ""
        print(f"  step {step.id} is {step.status}{because}")
        result = await rt.result(run_id, step.id)
        for attempt in result.attempts if result else ():
            why = f": {attempt.error.code}" if attempt.error else ""
            print(f"    attempt {attempt.number} {attempt.outcome}{why}")


async def operate(rt: Runtime, folder: Path) -> None:
    async with rt.events() as events:
        job = Export(str(folder / "exports"))
        await (await rt.start_run("export", job, run_id="today")).wait()
        await show(rt, "failed", "today")

        await trio.Path(job.folder).mkdir()  # the cause is gone
        await rt.retry_step("today", "write")
        await rt.wait("today")
        await show(rt, "retried", "today")

        await rt.start_run("export", attrs.evolve(job, delay=86_400.0), run_id="tomorrow")
        for queue in await rt.queues():
            print(f"queue {queue.queue}: {queue.ready} ready, {queue.running} running")
        await rt.cancel_run("tomorrow")
        await show(rt, "canceled", "tomorrow")

        print("all runs:", ", ".join(f"{run.id} {run.status}" for run in await rt.runs()))
        print("violations of the engine's invariants:", await rt.check())
        print("what this runtime did to steps:")
        async for event in events:
            if event.step_id is not None:
                why = f": {event.error.code}" if event.error else ""
                print(f"  {event.kind} {event.run_id}/{event.step_id} attempt {event.attempt}{why}")
            elif event.kind == "run_updated" and event.status == "canceled":
                break  # a run's end is told after its steps


async def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with open_runtime(Config(store=SQLiteStore(folder / "engine.db"))) as rt:
            rt.register_package(export)
            async with trio.open_nursery() as nursery:
                await nursery.start(rt.start_workers)
                await operate(rt, folder)
                await rt.drain()


if __name__ == "__main__":
    trio.run(main)
