"""Campaigns over the engine itself: `python -m trio_workflow.testing.simulation --seeds 0:1000 --jobs 2`."""

import argparse
import itertools
import sys
import time
from collections.abc import Iterator

import attrs

from trio_workflow.testing.simulation.campaign import Campaign, find_idle_faults, run_campaign
from trio_workflow.testing.simulation.drama import play
from trio_workflow.testing.simulation.failure import command, describe
from trio_workflow.testing.simulation.script import OwnScript
from trio_workflow.testing.simulation.shrink import shrink
from trio_workflow.testing.simulation.world import Fault, Feature, World, draw_world

JUDGED = 1000
"""Seeds from which on a campaign fails if there is something that none of them reached."""

FAULTS_JUDGED = 10_000
"""And if there is a fault without which no seed ended otherwise: that takes minutes to find out."""


def main() -> int:
    options = _parser().parse_args()
    if options.seed is not None:
        return _replay(_world(options))
    first, _, last = options.seeds.partition(":")
    seeds = _until(range(int(first), int(last)), options.seconds)
    campaign = run_campaign(
        seeds, draw_world, OwnScript, jobs=options.jobs, stop_early=not options.go_on, told=_Progress()
    )
    if campaign.seeds >= FAULTS_JUDGED and not campaign.failures:
        campaign.idle_faults = find_idle_faults(campaign, draw_world, OwnScript)
    print(campaign)
    for failure in campaign.failures[:3]:
        smallest = shrink(failure, OwnScript)
        print(describe(smallest, command(smallest.world, draw_world(smallest.world.seed))))
    is_short = campaign.seeds >= JUDGED and campaign.unreached
    return 1 if campaign.failures or is_short else 0


def _replay(world: World) -> int:
    report = play(world, OwnScript, is_whole=True)
    print(describe(report, command(world, draw_world(world.seed))))
    return 1 if report.broken else 0


def _world(options: argparse.Namespace) -> World:
    world = draw_world(options.seed)
    for name in ("processes", "runs", "steps"):
        if getattr(options, name) is not None:
            world = attrs.evolve(world, **{name: getattr(options, name)})
    if options.faults is not None:
        world = attrs.evolve(world, faults=frozenset(map(Fault, _names(options.faults))))
    if options.features is not None:
        world = attrs.evolve(world, features=frozenset(map(Feature, _names(options.features))))
    return world


def _names(text: str) -> list[str]:
    return [] if text == "none" else text.split(",")


def _until(seeds: range, seconds: float) -> Iterator[int]:
    end = time.monotonic() + seconds
    return itertools.takewhile(lambda _: time.monotonic() < end, seeds)


class _Progress:
    """A line now and then, to the error stream."""

    def __init__(self) -> None:
        self._next = time.monotonic() + 10

    def __call__(self, campaign: Campaign) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + 10
            print(f"{campaign.seeds} seeds, {campaign.steps} steps", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trio_workflow.testing.simulation", description="Simulate the engine in seeded worlds."
    )
    parser.add_argument("--seeds", default="0:1000", help="first:last, the last one not included")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="start no seed after that")
    parser.add_argument("--jobs", type=int, default=1, help="processes to play in")
    parser.add_argument("--go-on", action="store_true", help="after a seed that broke something")
    parser.add_argument("--seed", type=int, help="play this one, with the options below, and tell")
    parser.add_argument("--faults", help="its faults, with commas between, or none")
    parser.add_argument("--features", help="its features, with commas between, or none")
    for name in ("processes", "runs", "steps"):
        parser.add_argument(f"--{name}", type=int)
    return parser


if __name__ == "__main__":
    sys.exit(main())
