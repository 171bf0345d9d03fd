"""Hello: the smallest workflow there is, two steps, the second of which uses what the first returned.

    python examples/hello.py [FOLDER]

Run it twice with the same folder (var/hello if you name none). The first time both steps are executed; the
second time the run is still there, nothing is executed, and you get the same result.
"""

import sys
from pathlib import Path

import trio

from trio_workflow import Config, Package, RunBuilder, SQLiteStore, StepContext, open_runtime

hello = Package("hello")


# An entrypoint describes a run: which steps there are and what each one waits for. It does no work itself.
@hello.entrypoint
def start(run: RunBuilder, name: str) -> None:
    greet = run.step("greet", name, kind="hello/greet")
    run.step("measure", kind="hello/measure", depends_on=greet)


# An executor does the work of every step of its kind. What it returns is the step's result.
@hello.executor("hello/greet")
async def make_greeting(step: StepContext, name: str) -> str:
    print(f"executing {step.id}")
    return f"Hello, {name}!"


@hello.executor("hello/measure")
async def measure_greeting(step: StepContext) -> int:
    print(f"executing {step.id}")
    greeting: str = await step.dependency_data("greet", str)
    return len(greeting)


async def main(folder: Path) -> None:
    config = Config(store=SQLiteStore(folder / "engine.db"))
    async with open_runtime(config) as rt, trio.open_nursery() as nursery:
        rt.register_package(hello)

        # Workers are tasks in your own nursery. They execute steps as soon as these are ready.
        await nursery.start(rt.start_workers)

        # A run of that id which is there already is answered instead of a new one.
        handle = await rt.start_run("hello", "world", run_id="hello-1", if_exists="return")
        run = await handle.wait()
        print(f"run {run.id} {run.status}")

        # Everything that happened is in the store, and stays there.
        for step in await rt.steps(run.id):
            result = await rt.result(run.id, step.id)
            assert result is not None  # the step has ended
            print(f"step {step.id} {step.status} on attempt {step.attempt}: {result.value()!r}")

        await rt.drain()  # the workers stop; without this, they would wait for more runs


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1] if len(sys.argv) > 1 else "var/hello"))
