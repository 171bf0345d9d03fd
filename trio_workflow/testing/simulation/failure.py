"""A seed that broke something, told so that one can see what happened and play it again."""

from typing import cast

import attrs

from trio_workflow.testing.simulation.drama import SeedReport
from trio_workflow.testing.simulation.world import World


def describe(report: SeedReport, replay: str) -> str:
    """What broke, in which world, what came before, and the line that plays it again."""
    return "\n".join(
        [
            f"seed {report.world.seed} {'broke something:' if report.broken else 'is sound'}",
            *(f"  {broken}" for broken in report.broken),
            "its world:",
            *(f"  {line}" for line in _options(report.world)),
            "its last events:",
            *(f"  {line}" for line in report.lines),
            f"to play it again: {replay}",
        ]
    )


def _options(world: World) -> list[str]:
    fields = attrs.asdict(world, recurse=False)
    return [f"{name}: {_plain(value)}" for name, value in fields.items()]


def _plain(value: object) -> str:
    return ", ".join(sorted(cast("frozenset[str]", value))) if isinstance(value, frozenset) else str(value)


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
