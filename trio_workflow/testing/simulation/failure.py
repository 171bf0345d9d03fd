"""A seed that broke something, told so that one can see what happened and play it again."""

from typing import cast

import attrs

from trio_workflow.testing.simulation.play import SeedReport
from trio_workflow.testing.simulation.world import World

LONGEST = 160
"""Characters of a line of the trace."""

_OF_ENGINE = frozenset({"seed", "steps", "max_attempts", "used", "features"})
"""What a world says that means nothing for a package of a user's."""


def describe(report: SeedReport, replay: str, *, is_users: bool = False) -> str:
    """What broke, in which world, what came before, and the line that plays it again. A report that has its
    whole trace is told in full."""
    return "\n".join(
        [
            f"seed {report.world.seed} {'broke something:' if report.broken else 'is sound'}",
            *(f"  {broken}" for broken in report.broken),
            "its world:",
            *(f"  {line}" for line in _options(report.world, _OF_ENGINE if is_users else frozenset())),
            "its events:" if report.trace else "its last events:",
            *(f"  {line}" for line in report.trace or map(cut, report.lines)),
            f"to play it again: {replay}",
        ]
    )


def cut(line: str) -> str:
    """A line that people can read."""
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 30]} ... {line[-25:]}"


def _options(world: World, without: frozenset[str]) -> list[str]:
    fields = attrs.asdict(world, recurse=False)
    return [f"{name}: {_plain(value)}" for name, value in fields.items() if name not in without]


def _plain(value: object) -> str:
    return ", ".join(sorted(cast("frozenset[str]", value))) if isinstance(value, frozenset) else str(value)


def call(world: World, drawn: World) -> str:
    """The call of `simulate` that plays a world again, to be completed. drawn: what its seed alone gives."""
    names = [name for name in ("processes", "runs") if getattr(world, name) != getattr(drawn, name)]
    changed = "".join(f", {name}={getattr(world, name)}" for name in names)
    faults = sorted(fault.value for fault in world.faults)
    return f"simulate(..., seeds=[{world.seed}], faults={faults}{changed})"


def command(world: World, drawn: World) -> str:
    """The command that plays a world of the simulation's own again. drawn: what its seed alone gives."""
    parts = [f"python -m trio_workflow.testing.simulation --seed {world.seed}"]
    for name in ("faults", "features"):
        chosen = getattr(world, name)
        if chosen != getattr(drawn, name):
            parts.append(f"--{name} {','.join(sorted(chosen)) or 'none'}")
    for name in ("processes", "runs", "steps"):
        if getattr(world, name) != getattr(drawn, name):
            parts.append(f"--{name} {getattr(world, name)}")
    return " ".join(parts)
