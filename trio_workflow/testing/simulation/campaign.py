"""Many seeds, in several processes, and what they reached together.

A campaign that finds nothing means something only if it could have: `unreached` names what no seed came to.
"""

import itertools
import multiprocessing
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.pool import AsyncResult
from typing import Any

import attrs

from trio_workflow.model.status import AttemptOutcome
from trio_workflow.points import Point
from trio_workflow.rules.transitions import MOVES
from trio_workflow.testing.simulation.failure import cut
from trio_workflow.testing.simulation.history import Broken
from trio_workflow.testing.simulation.play import SeedReport, play
from trio_workflow.testing.simulation.stage import Script
from trio_workflow.testing.simulation.world import Fault, World

TWICE = 100
"""One seed in so many is played twice, and must leave the same trace."""

DIFFERS = "a seed played twice left two traces"

_WHY = (
    "is there randomness, real time, the order of a set, or what an earlier world left in memory (reset=) in "
    "the entrypoint, start or executors?"
)

BATCHES = ("of several calls", "with a refusal", "taken back")
OF_USERS = ("executor", "failure", "fault", "outcome")
"""The sorts of counts that tell something about a user's package."""

TRIED = 25  # seeds in which a fault struck that are played without it, until one ends otherwise

MakeScript = Callable[[World], Script]
MakeWorld = Callable[[int], World]


def _no_counts() -> dict[str, Counter[str]]:
    return defaultdict(Counter)


@attrs.define
class Campaign:
    """What a number of seeds came to. failures: the seeds that broke something.

    counts: how often, by sort and name. Of a user's package: `fault` (by the fault's name), `outcome` (of
    attempts), `executor` (kinds, with what their attempts ended as) and `failure` (kinds, with the code and
    the message of what failed); the other sorts are the engine's own.
    """

    seeds: int = 0
    steps: int = 0
    attempts: int = 0
    least_steps: int | None = None  # that a seed finished
    idle_seeds: int = 0  # that finished none
    counts: dict[str, Counter[str]] = attrs.field(factory=_no_counts)
    failures: list[SeedReport] = attrs.field(factory=list[SeedReport])
    struck: dict[str, list[int]] = attrs.field(factory=dict[str, list[int]])  # fault -> seeds
    idle_faults: tuple[str, ...] = ()  # those without which no seed tried ended otherwise
    is_users: bool = False
    faults: tuple[Fault, ...] = tuple(Fault)  # those that there could be

    def add(self, report: SeedReport) -> None:
        self.seeds += 1
        self.steps += report.steps
        self.attempts += report.attempts
        self.idle_seeds += report.steps == 0
        self.least_steps = report.steps if self.least_steps is None else min(self.least_steps, report.steps)
        for sort, names in report.counts.items():
            self.counts[sort].update(names)
        for fault in report.counts.get("fault", ()):
            seeds = self.struck.setdefault(fault, [])
            if len(seeds) < TRIED:
                seeds.append(report.world.seed)
        if report.broken:
            self.failures.append(report)

    def merge(self, other: "Campaign") -> None:
        self.seeds += other.seeds
        self.steps += other.steps
        self.attempts += other.attempts
        self.idle_seeds += other.idle_seeds
        found = [least for least in (self.least_steps, other.least_steps) if least is not None]
        self.least_steps = min(found, default=None)
        for sort, names in other.counts.items():
            self.counts[sort].update(names)
        for fault, seeds in other.struck.items():
            self.struck[fault] = [*self.struck.get(fault, []), *seeds][:TRIED]
        self.failures += other.failures

    @property
    def unreached(self) -> list[str]:
        """What no seed came to, of all that a simulation is to reach."""
        wanted = self._of_users if self.is_users else self._of_engine
        missing = [
            f"{sort} {name}"
            for sort, names in wanted.items()
            for name in names
            if not self.counts[sort][name]
        ]
        return missing + [f"an outcome that fault {fault} changed" for fault in self.idle_faults]

    @property
    def _of_engine(self) -> dict[str, Iterable[str]]:
        moves = [f"{status} {event}" for status, event in MOVES]
        return {"point": Point, "move": moves, "outcome": AttemptOutcome, "fault": Fault, "batch": BATCHES}

    @property
    def _of_users(self) -> dict[str, Iterable[str]]:
        """The faults asked for, where there was a place for them, and a success of every kind that ran."""
        has_bytes = self.counts["point"][Point.BYTES] > 0
        of_bytes = () if has_bytes else (Fault.CRASH_BYTES, Fault.LATE_PUT)
        kinds = {name.rpartition(" ")[0] for name in self.counts["executor"]}
        return {
            "executor": [f"{kind} success" for kind in sorted(kinds)],
            "fault": [fault for fault in self.faults if fault not in of_bytes],
        }

    def __str__(self) -> str:
        lines = [
            f"seeds {self.seeds}, steps finished {self.steps}, attempts {self.attempts}",
            f"steps finished per seed: {self.steps / max(1, self.seeds):.1f} on average, at least "
            f"{self.least_steps}; none in {self.idle_seeds} seeds",
        ]
        for sort, names in sorted(self.counts.items()):
            if not names or (self.is_users and sort not in OF_USERS):
                continue
            told = ", ".join(f"{name} {times}" for name, times in sorted(names.items()))
            lines.append(f"{sort}: {told}")
        lines.append(f"never reached: {', '.join(self.unreached) or 'nothing'}")
        lines.append(f"seeds that broke something: {[f.world.seed for f in self.failures] or 'none'}")
        return "\n".join(lines)


def run_campaign(
    seeds: Iterable[int],
    make_world: MakeWorld,
    make_script: MakeScript,
    *,
    jobs: int = 1,
    stop_early: bool = True,
    told: Callable[[Campaign], None] = lambda campaign: None,
) -> Campaign:
    """Play the seeds, in so many processes. stop_early: at the first failure. told: called as it goes."""
    total = Campaign()
    for part in _parts(seeds, make_world, make_script, jobs):
        total.merge(part)
        told(total)
        if stop_early and total.failures:
            break
    return total


def _parts(
    seeds: Iterable[int], make_world: MakeWorld, make_script: MakeScript, jobs: int
) -> Iterator[Campaign]:
    if jobs == 1:
        for seed in seeds:
            yield _play_some((seed,), make_world, make_script)
        return
    # Forked, so that a user's functions need not be importable by name.
    context = multiprocessing.get_context("fork")
    _WORK.update(make_world=make_world, make_script=make_script)
    # A few chunks are handed out ahead, no more: seeds may be drawn until a time is up, which must be asked.
    ahead: deque[AsyncResult[Campaign]] = deque()
    with context.Pool(jobs) as pool:
        for chunk in _chunks(seeds, 20):
            ahead.append(pool.apply_async(_play_forked, (chunk,)))
            if len(ahead) > 2 * jobs:
                yield ahead.popleft().get()
        while ahead:
            yield ahead.popleft().get()


_WORK: dict[str, Any] = {}  # what forked processes inherit


def _play_forked(seeds: tuple[int, ...]) -> Campaign:
    campaign = _play_some(seeds, _WORK["make_world"], _WORK["make_script"])
    campaign.failures = [_sendable(report) for report in campaign.failures]
    return campaign


def _sendable(report: SeedReport) -> SeedReport:
    """What users raise cannot always be sent to another process; what is told of it can."""
    return attrs.evolve(report, broken=tuple(attrs.evolve(broken, cause=None) for broken in report.broken))


def _chunks(seeds: Iterable[int], size: int) -> Iterator[tuple[int, ...]]:
    chunk: list[int] = []
    for seed in seeds:
        chunk.append(seed)
        if len(chunk) == size:
            yield tuple(chunk)
            chunk.clear()
    if chunk:
        yield tuple(chunk)


def _play_some(seeds: Iterable[int], make_world: MakeWorld, make_script: MakeScript) -> Campaign:
    campaign = Campaign()
    for seed in seeds:
        campaign.add(_played(seed, make_world(seed), make_script))
    return campaign


def _played(seed: int, world: World, make_script: MakeScript) -> SeedReport:
    if seed % TWICE:
        return play(world, make_script)
    first = play(world, make_script, is_whole=True)
    if not first.broken and first.is_repeatable:
        first = _compared(first, play(world, make_script, is_whole=True))
    return attrs.evolve(first, trace=())


def _compared(first: SeedReport, second: SeedReport) -> SeedReport:
    if first.digest == second.digest or second.broken:
        return second
    pairs = itertools.zip_longest(first.trace, second.trace, fillvalue="the end")
    was, is_now = next(pair for pair in pairs if pair[0] != pair[1])
    told = f"first: {cut(was)}\n    then:  {cut(is_now)}\n    {_WHY}"
    return attrs.evolve(second, broken=(Broken(DIFFERS, told, 0.0),))


def find_idle_faults(campaign: Campaign, make_world: MakeWorld, make_script: MakeScript) -> tuple[str, ...]:
    """The faults that struck and made no difference to how any attempt or step ended."""

    def changed(fault: str, seed: int) -> bool:
        world = make_world(seed)
        calm = attrs.evolve(world, faults=world.faults - {Fault(fault)})
        return play(world, make_script).ends != play(calm, make_script).ends

    return tuple(
        fault
        for fault, seeds in sorted(campaign.struck.items())
        if not any(changed(fault, seed) for seed in seeds)
    )
