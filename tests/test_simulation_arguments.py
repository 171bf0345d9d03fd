"""A mistake in what `simulate` is given is told before the first seed is played."""

import re
from typing import Any

import pytest

from trio_workflow import ConfigError, Package, QueueConfig, RunBuilder, Runtime, StartRun, StepContext
from trio_workflow.testing import simulate


def package() -> Package:
    made = Package("p")

    @made.entrypoint
    def start(run: RunBuilder) -> None:
        run.step("a", kind="k")

    @made.executor("k")
    async def work(step: StepContext) -> None: ...

    return made


def of_a_number(run: RunBuilder, number: int) -> None:
    run.step("a", kind="k")


async def async_setup(rt: Runtime) -> None: ...


async def async_start(roll: object) -> StartRun:
    return StartRun("p")


def starts_nothing(roll: object) -> Any:
    return None


def register(rt: Runtime) -> None:
    rt.register_package(package())


ANYTHING: dict[str, Any] = {"package": package(), "seeds": range(1)}

MISTAKES: list[tuple[dict[str, Any], str]] = [
    (
        {"package": Package("n", entrypoint=of_a_number)},
        'needs start= to make an input for workflow package "n"',
    ),
    ({"package": Package("n")}, 'workflow package "n" entrypoint is required'),
    ({"package": "docs"}, "takes a Package, or a function that registers what a runtime needs, not 'docs'"),
    ({"package": async_setup}, "must be a plain one (def)"),
    ({"package": register}, "needs start= to know which runs"),
    ({"start": async_start}, "start must be a plain function (def), not an async one"),
    ({"start": starts_nothing}, "start must answer a StartRun, not None"),
    ({"start": "p"}, "start must be a function, not 'p'"),
    ({"check": True}, "check must be a function, not True"),
    ({"reset": set()}, "reset must be a function, not set()"),
    ({"executors": "bogus"}, 'executors must be "own" or "stubs", not \'bogus\''),
    ({"seeds": []}, "there is no seed to play"),
    ({"seeds": iter(())}, "there is no seed to play"),
    ({"seeds": 5}, "seeds must be some whole numbers, such as range(100), not 5"),
    ({"seeds": "abc"}, "seeds must be some whole numbers, such as range(100), not 'abc'"),
    ({"seeds": [1, 1.5]}, "a seed must be a whole number, not 1.5"),
    ({"seeds": [True]}, "a seed must be a whole number, not True"),
    ({"jobs": 0}, "jobs must be a whole number >= 1, not 0"),
    ({"jobs": None}, "jobs must be a whole number >= 1, not None"),
    ({"faults": "freeze"}, "faults takes a list of names, not 'freeze'"),
    ({"faults": ["bogus"]}, "there is no fault 'bogus': the faults are block, cancel_run, clock_back,"),
    ({"faults": ["fail"]}, 'only executors="stubs" have the faults fail'),
    ({"patience": 0}, "patience must be a number of seconds > 0, not 0"),
    ({"seconds": None}, "seconds must be a number of seconds > 0, not None"),
    ({"lease": 0}, "World.lease must be a number > 0.0 and <= 1000000000.0, not 0"),
    ({"max_workers": 0}, "World.max_workers must be a whole number >= 1, not 0"),
    ({"runs": 0}, "World.runs must be a whole number >= 1, not 0"),
    ({"processes": 0}, "World.processes must be a whole number >= 1, not 0"),
    ({"queues": ["q"]}, "World.queues must be a mapping of names to QueueConfig, not ['q']"),
    ({"queues": {"q": 1}}, "World.queues takes a QueueConfig, not 1"),
    ({"default_queue": 1}, "World.default_queue takes a QueueConfig, not 1"),
    ({"bogus": 1}, "simulate has no option 'bogus': of a world there can be set processes, runs,"),
    ({"steps": 1}, "simulate has no option 'steps'"),
    ({"features": ["emit"]}, "simulate has no option 'features'"),
    ({"used": ["q"]}, "simulate has no option 'used'"),
]


@pytest.mark.parametrize(("changed", "message"), MISTAKES, ids=[message[:40] for _, message in MISTAKES])
def test_a_mistake_is_told_in_a_sentence(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        simulate(**(ANYTHING | changed))


async def test_it_is_no_part_of_a_trio_run() -> None:
    with pytest.raises(ConfigError, match="call it from a plain test"):
        simulate(package(), range(1))


@pytest.mark.parametrize(
    "options",
    [
        {"seeds": (seed for seed in (1, 2))},
        {"seeds": {3}},
        {"faults": []},
        {"faults": frozenset({"freeze"}), "queues": {"default": QueueConfig(2)}},
        {"check": lambda rt: None, "start": lambda roll: StartRun("p", run_id="not used")},
    ],
    ids=lambda options: "-".join(options),
)
def test_what_is_right_is_played(options: dict[str, Any]) -> None:
    assert simulate(**(ANYTHING | options)).seeds >= 1


def test_a_seed_that_is_none_is_told_when_a_generator_comes_to_it() -> None:
    def seeds() -> Any:
        yield from (1, "2")

    for jobs in (1, 2):
        with pytest.raises(ConfigError, match="a seed must be a whole number, not '2'"):
            simulate(package(), seeds(), jobs=jobs)
