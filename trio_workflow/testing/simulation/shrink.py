"""Making a failing world smaller, as long as the same check fires."""

from collections.abc import Callable, Iterator

import attrs

from trio_workflow.testing.simulation.drama import SeedReport, play
from trio_workflow.testing.simulation.stage import Script
from trio_workflow.testing.simulation.world import World

TRIES = 80


def shrink(report: SeedReport, make_script: Callable[[World], Script]) -> SeedReport:
    """The smallest world found in which the same check fires first."""
    smallest, tries = report, 0
    shrinking = True
    while shrinking:
        shrinking = False
        for world in _smaller(smallest.world):
            tries += 1
            if tries > TRIES:
                return smallest
            found = play(world, make_script)
            if found.broken and found.broken[0].check == report.broken[0].check:
                smallest, shrinking = found, True
                break
    return smallest


def _smaller(world: World) -> Iterator[World]:
    for fault in sorted(world.faults):
        yield attrs.evolve(world, faults=world.faults - {fault})
    for name in ("processes", "runs", "steps"):
        count = getattr(world, name)
        if count > 1:
            yield attrs.evolve(world, **{name: count - 1})
    for feature in sorted(world.features):
        yield attrs.evolve(world, features=world.features - {feature})
