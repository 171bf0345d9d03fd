"""Making a failing world smaller, as long as the same check fires."""

import math
import re
import time
from collections.abc import Callable, Iterator

import attrs

from trio_workflow.testing.simulation.history import USERS, Broken
from trio_workflow.testing.simulation.play import TOO_LONG, SeedReport, play
from trio_workflow.testing.simulation.stage import Script
from trio_workflow.testing.simulation.world import World

TRIES = 80


def shrink(
    report: SeedReport, make_script: Callable[[World], Script], *, seconds: float = math.inf
) -> SeedReport:
    """The smallest world found in which the same check fires first. seconds: of real time, to begin tries in.

    A world that took too long is not played again and again: it is left as it is.
    """
    smallest, tries, end = report, 0, time.monotonic() + seconds
    shrinking = report.broken[0].check != TOO_LONG
    while shrinking:
        shrinking = False
        for world in _smaller(smallest.world):
            tries += 1
            if tries > TRIES or time.monotonic() > end:
                return smallest
            found = play(world, make_script)
            if found.broken and _sort(found.broken[0]) == _sort(report.broken[0]):
                smallest, shrinking = found, True
                break
    return smallest


def _sort(broken: Broken) -> str:
    """Two of one sort are one mistake. User code may raise for several: its text counts, but for numbers."""
    about = broken.about.partition("\n")[0] if broken.check in USERS else ""
    return broken.check + re.sub(r"\d+", "0", about)


def _smaller(world: World) -> Iterator[World]:
    for fault in sorted(world.faults):
        yield attrs.evolve(world, faults=world.faults - {fault})
    for name in ("processes", "runs", "steps"):
        count = getattr(world, name)
        if count > 1:
            yield attrs.evolve(world, **{name: count - 1})
    for feature in sorted(world.features):
        yield attrs.evolve(world, features=world.features - {feature})
