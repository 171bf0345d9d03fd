"""Campaigns over the engine itself: `python -m trio_workflow.testing.simulation --seeds 0:1000 --jobs 2`."""

import argparse
import itertools
import math
import sys
import time
from collections.abc import Callable, Iterator

import attrs

from trio_workflow.testing.simulation.acting.script import OwnScript
from trio_workflow.testing.simulation.campaign import Campaign, find_idle_faults, run_campaign
from trio_workflow.testing.simulation.failure import command, describe
from trio_workflow.testing.simulation.play import play
from trio_workflow.testing.simulation.shrink import shrink
from trio_workflow.testing.simulation.world import Fault, Feature, World, draw_world

JUDGED = 1000
"""Seeds from which on a campaign fails if there is something that none of them reached."""

FAULTS_JUDGED = 10_000
"""And if there is a fault without which no seed ended otherwise: that takes minutes to find out."""


def main() -> int:
    options = _options()
    if options.seed is not None:
        return _replay(_world(options))
    seeds = _until(options.seeds, options.seconds)
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
    chosen = {name: getattr(options, name) for name in _OF_A_WORLD if getattr(options, name) is not None}
    return attrs.evolve(draw_world(options.seed), **chosen)


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


def _options() -> argparse.Namespace:
    parser = _parser()
    options = parser.parse_args()
    if options.seed is None and any(getattr(options, name) is not None for name in _OF_A_WORLD):
        parser.error(f"{', '.join(f'--{name}' for name in _OF_A_WORLD)} change the world of one --seed")
    return options


_OF_A_WORLD = ("faults", "features", "processes", "runs", "steps")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trio_workflow.testing.simulation", description="Simulate the engine in seeded worlds."
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--seeds", type=_range, default="0:1000", help="first:last, the last one not included (%(default)s)"
    )
    which.add_argument(
        "--seed", type=int, help="play this one, with the options below, and tell line by line"
    )
    parser.add_argument(
        "--seconds", type=float, default=math.inf, help="start no seed after that (%(default)s)"
    )
    parser.add_argument("--jobs", type=_count, default=1, help="processes to play in (%(default)s)")
    parser.add_argument("--go-on", action="store_true", help="after a seed that broke something")
    parser.add_argument("--faults", type=_some(Fault), help="its faults, with commas between, or none")
    parser.add_argument("--features", type=_some(Feature), help="its features, with commas between, or none")
    for name in ("processes", "runs", "steps"):
        parser.add_argument(f"--{name}", type=_count, help="as many, whatever the seed says")
    return parser


def _range(text: str) -> range:
    first, _, last = text.partition(":")
    try:
        seeds = range(int(first), int(last))
    except ValueError:
        raise argparse.ArgumentTypeError(f"it is first:last, such as 0:1000, not {text!r}") from None
    if not seeds:
        raise argparse.ArgumentTypeError(f"there is no seed in {text!r}")
    return seeds


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"it is a whole number >= 1, not {text!r}")
    return int(text)


def _some(kind: type[Fault] | type[Feature]) -> Callable[[str], frozenset[Fault | Feature]]:
    def read(text: str) -> frozenset[Fault | Feature]:
        try:
            return frozenset(map(kind, [] if text == "none" else text.split(",")))
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{error}: there are {', '.join(kind)}") from None

    return read


if __name__ == "__main__":
    sys.exit(main())
