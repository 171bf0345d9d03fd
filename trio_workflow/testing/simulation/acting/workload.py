"""The graphs that simulated runs begin with."""

import random
from collections.abc import Mapping
from typing import Any

from trio_workflow.authoring.options import optional, require
from trio_workflow.authoring.package import Package
from trio_workflow.authoring.run_builder import RunBuilder
from trio_workflow.model.plan import Dependency, StepSpec
from trio_workflow.model.policy import RetryPolicy
from trio_workflow.testing.simulation.expected.asked import AskedRun, Needs, as_asked
from trio_workflow.testing.simulation.world import Feature, World

PACKAGE = "simulated"


def make_package(world: World, asked: Mapping[str, AskedRun]) -> Package:
    """A package whose entrypoint draws a graph from the seed and the run's id. asked: notes it, by run."""
    package = Package(PACKAGE)

    @package.entrypoint
    def start(run: RunBuilder, _: Any) -> None:
        roll = world.random(f"graph of {run.id}")
        steps = asked[run.id].steps = list[StepSpec]()

        def ask(step_id: str, given: object, needs: Needs, options: dict[str, Any]) -> str:
            made = run.step(step_id, given, depends_on=dependencies(needs), **options).id
            steps.append(as_asked(made, given, needs, options, package=PACKAGE, retry=world.default_retry))
            return made

        ids: list[str] = []
        keys: list[str] = []
        for index in range(roll.randint(1, world.steps)):
            needed = roll.sample(ids, min(len(ids), roll.choice((0, 0, 1, 2, 4))))
            loose = world.has(Feature.OPTIONAL) and roll.random() < 0.5
            given = {"of": f"s{index}"} if roll.random() < 0.7 else None
            options = step_options(world, roll)
            ids.append(ask(f"s{index}", given, [(step_id, not loose) for step_id in needed], options))
            keys += [options["dedup_key"]] if "dedup_key" in options else []
            if keys and roll.random() < 0.2:  # it is dropped; its id may be one that another has, or gets
                options = step_options(world, roll)
                options["dedup_key"] = roll.choice(keys)
                ask(f"s{roll.randrange(world.steps + 2)}", None, (), options)

    return package


def dependencies(needs: Needs) -> list[Dependency]:
    return [one for step_id, required in needs for one in (require if required else optional)(step_id)]


def step_options(world: World, roll: random.Random) -> dict[str, Any]:
    """Options of a step, of the features that the world has."""
    options: dict[str, Any] = {
        "kind": "rare" if world.has(Feature.RARE_KIND) and roll.random() < 0.3 else "work",
        "queue": roll.choice(world.used),
        "retry": RetryPolicy(
            max_attempts=world.max_attempts,
            backoff=roll.choice(("fixed", "linear", "exponential")),
            initial_backoff=roll.choice((0.0, 0.5, 0.5)),
            max_backoff=roll.choice((0.3, 0.7, 4.0)),
            multiplier=roll.choice((2.0, 3.0)),
            jitter=roll.choice((0.0, 0.5)),
        ),
    }
    if options["retry"] == world.default_retry:
        del options["retry"]
    if world.has(Feature.DEDUP) and roll.random() < 0.4:
        options["dedup_key"] = roll.choice("xyz")
    if world.has(Feature.DELAY) and roll.random() < 0.3:
        options["delay"] = roll.choice((0.5, 3.0))
    if world.has(Feature.PRIORITY):
        options["priority"] = roll.randint(-2, 2)
    if world.has(Feature.TIMEOUT) and roll.random() < 0.5:
        options["timeout"] = world.lease * roll.choice((0.3, 1.5))
    if world.has(Feature.EXCUSED) and roll.random() < 0.4:
        options["allow_failure"] = True
    return options
