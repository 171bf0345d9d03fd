"""A world: everything about a simulation that its seed decides before it begins."""

import math
import random
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar, cast

import attrs

from trio_workflow.errors import ConfigError
from trio_workflow.model.policy import LONGEST, QueueConfig, RateLimit, RetryPolicy, number, whole

T = TypeVar("T")

QUEUES = ("narrow", "wide", "rated", "unnamed")


class Fault(StrEnum):
    """What may go wrong. A world has some of them on."""

    CRASH_BEFORE = "crash_before"  # a process dies as it takes the write lock
    CRASH_INSIDE = "crash_inside"  # in a transaction, before COMMIT
    CRASH_AFTER = "crash_after"  # after COMMIT, before anybody is answered
    CRASH_BETWEEN = "crash_between"  # anywhere else, executors running
    CRASH_BYTES = "crash_bytes"  # when an artifact's bytes are stored and its row is not; or on removing them
    LOST_ANSWER = "lost_answer"  # a commit succeeds, and those who asked for it are told of an error
    SLOW = "slow"  # a call to the store takes up to half a lease, or two
    LOCKED = "locked"  # another connection holds the write lock
    DISK_FULL = "disk_full"  # for all processes, for a while
    IO_ERROR = "io_error"
    FREEZE = "freeze"  # a process is stopped for up to three leases, and goes on as a zombie
    CLOCK_FORWARD = "clock_forward"  # a process's wall clock jumps
    CLOCK_BACK = "clock_back"
    FAIL = "fail"  # executors raise
    HANG = "hang"  # executors take as long as their timeout or a cancellation lets them
    SWALLOW = "swallow"  # executors go on after a cancellation, and return as if nothing had been
    BLOCK = "block"  # executors hold up the event loop of their process
    MISFIT = "misfit"  # executors hand in what cannot be stored
    CANCEL_RUN = "cancel_run"  # operators
    RETRY = "retry"
    DELETE = "delete"
    RESTART = "restart"  # a process drains or closes, and opens again
    POISON = "poison"  # the store refuses some outcomes, each time they are offered
    IMPATIENT = "impatient"  # callers that are cancelled while they wait
    RECONFIGURE = "reconfigure"  # a process opens with other limits for queues, or with none
    LATE_PUT = "late_put"  # a process is stopped within a put, a removal or a save, and ends it as a zombie


class Feature(StrEnum):
    """What steps use. A world has some of them on."""

    EMIT = "emit"
    OPTIONAL = "optional"
    DEDUP = "dedup"
    DELAY = "delay"
    PRIORITY = "priority"
    TIMEOUT = "timeout"
    EXCUSED = "excused"
    RECORDS = "records"
    INLINE = "inline"
    EXTERNAL = "external"
    SAME_BYTES = "same_bytes"  # in the artifact store, whatever the attempt, and the run that has the id
    SAVE = "save"
    RARE_KIND = "rare_kind"


LOSING = frozenset(
    {
        Fault.CRASH_BEFORE,
        Fault.CRASH_INSIDE,
        Fault.CRASH_AFTER,
        Fault.CRASH_BETWEEN,
        Fault.CRASH_BYTES,
        Fault.LOST_ANSWER,
        Fault.SLOW,
        Fault.LOCKED,
        Fault.DISK_FULL,
        Fault.FREEZE,
        Fault.CLOCK_FORWARD,
        Fault.CLOCK_BACK,
        Fault.BLOCK,
        Fault.LATE_PUT,
    }
)
"""What may cost a process a lease that it keeps as it should."""

ODD = (Fault.HANG, Fault.SWALLOW, Fault.IO_ERROR)
"""What tries a lease, and costs no process one that it keeps as it should."""

OF_STUBS = frozenset({Fault.FAIL, Fault.HANG, Fault.SWALLOW, Fault.BLOCK, Fault.MISFIT})
"""What only executors of the simulation's own do."""

CLOCKS = frozenset({Fault.CLOCK_FORWARD, Fault.CLOCK_BACK})

# A late put takes an artifact store, others that work, time, and clocks by which a lease runs out when it is
# reckoned to: it comes with a world of that kind.
_ANYWHERE: tuple[Fault, ...] = tuple(fault for fault in Fault if fault is not Fault.LATE_PUT)
_OFTEN: tuple[Feature, ...] = tuple(feature for feature in Feature if feature is not Feature.SAME_BYTES)


def _queues_by_name(instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if not isinstance(value, Mapping):
        raise ConfigError(f"World.queues must be a mapping of names to QueueConfig, not {value!r}")
    for config in cast("Mapping[str, object]", value).values():
        _queue(instance, attribute, config)


def _queue(instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, QueueConfig):
        raise ConfigError(f"World.{attribute.name} takes a QueueConfig, not {value!r}")


@attrs.frozen(kw_only=True)
class World:
    """Durations are seconds. runs: how many operators start; steps: most steps that one begins with;
    used: the queues that steps are put in; default_queue: for those that nobody configured.
    A bad value raises ConfigError."""

    seed: int
    processes: int = attrs.field(validator=whole(1))
    runs: int = attrs.field(validator=whole(1))
    steps: int = attrs.field(validator=whole(1))
    duration: float = attrs.field(validator=number(above=0.0, most=LONGEST))
    lease: float = attrs.field(validator=number(above=0.0, most=LONGEST))
    poll: float = attrs.field(validator=number(above=0.0))
    max_workers: int = attrs.field(validator=whole(1))
    max_lost: int = attrs.field(validator=whole(1))
    grace: float = attrs.field(validator=number(least=0.0, most=LONGEST))
    max_attempts: int = attrs.field(validator=whole(1))
    queues: Mapping[str, QueueConfig] = attrs.field(validator=_queues_by_name)
    default_queue: QueueConfig = attrs.field(validator=_queue)
    used: tuple[str, ...]
    faults: frozenset[Fault]
    features: frozenset[Feature]

    def random(self, stream: str) -> random.Random:
        """A stream of its own for each part, so that taking a fault out leaves the others where they were."""
        return random.Random(f"{self.seed}/{stream}")

    def has(self, option: Fault | Feature) -> bool:
        return option in self.faults or option in self.features

    @property
    def default_retry(self) -> RetryPolicy:
        """Of the engine's own worlds: one of those that their steps ask for, too."""
        return RetryPolicy(
            max_attempts=self.max_attempts,
            backoff="linear",
            initial_backoff=0.5,
            max_backoff=0.7,
            multiplier=3.0,
            jitter=0.0,
        )

    @property
    def is_calm(self) -> bool:
        """One process, whose clock and store are sound: nothing in it may wait without need."""
        return self.processes == 1 and not self.faults & DISTURBING

    @property
    def is_mild(self) -> bool:
        """Every lease is to be renewed in time."""
        return self.keeps_leases and Fault.IO_ERROR not in self.faults

    @property
    def keeps_leases(self) -> bool:
        """No lease is to be lost in it, though its renewal may fail once."""
        return not self.faults & LOSING


DISTURBING = frozenset(Fault) - {
    Fault.FAIL,
    Fault.CANCEL_RUN,
    Fault.RETRY,
    Fault.MISFIT,
    Fault.DELETE,
    Fault.RECONFIGURE,
}

LATEST_READ = 0.3
"""Seconds that the answer to a read may take in a calm world."""

CRASHES = frozenset(fault for fault in Fault if fault.startswith("crash"))

QUIET = CRASHES | frozenset(
    {Fault.HANG, Fault.SWALLOW, Fault.RESTART, Fault.IMPATIENT, Fault.POISON, Fault.IO_ERROR}
)
"""What lets nobody who is alive wait, but for a store that now and then must be asked again."""


def draw_world(seed: int, faults: frozenset[Fault] = frozenset(Fault)) -> World:
    """The world of a seed. faults: those that may be on."""
    roll = random.Random(f"{seed}/world")
    processes = roll.choice((1, 1, 2, 2, 3))
    is_calm = roll.random() < 0.15
    kind = random.Random(f"{seed}/kind").random()
    on = _some(roll, _ANYWHERE, roll.choice((0.1, 0.25, 0.5)))
    if is_calm:
        processes, on = 1, on - DISTURBING
    elif kind < 0.1:
        processes, on = 1, on - LOSING | {Fault.BLOCK}
    elif kind < 0.35:
        on = on - LOSING | _some(random.Random(f"{seed}/odd"), ODD, 0.4)
    elif kind < 0.42:  # perhaps several processes, that nothing disturbs
        on -= DISTURBING
    lease = roll.choice((3.0, 6.0, 12.0))
    world = World(
        seed=seed,
        processes=processes,
        runs=roll.randint(1, 5),
        steps=roll.choice((1, 3, 6, 10)),
        duration=roll.choice((4.0, 10.0, 25.0)),
        lease=lease,
        poll=math.inf if is_calm else roll.choice((0.25, 1.0, 5.0)),
        max_workers=roll.randint(1, 4),
        max_lost=roll.choice((1, 2, 3, 5)),
        grace=roll.choice((0.0, 0.0, 2.0)),
        max_attempts=roll.randint(1, 4),
        queues=_queues(roll),
        default_queue=QueueConfig(max_workers=roll.choice((1, 1, 3))),
        used=roll.choice((QUEUES, QUEUES, ("rated",), ("narrow", "rated"), ("wide",))),
        faults=on & faults,
        features=_some(roll, _OFTEN, 0.5),
    )
    roll_of_rate = world.random("rate of the default queue")
    if roll_of_rate.random() < 0.3:
        rate = RateLimit(rate_per_second=roll_of_rate.choice((0.5, 2.0)), burst=roll_of_rate.randint(1, 3))
        world = attrs.evolve(world, default_queue=attrs.evolve(world.default_queue, rate_limit=rate))
    if world.has(Feature.EXTERNAL) and world.random("bytes").random() < 0.3:
        world = attrs.evolve(world, features=world.features | {Feature.SAME_BYTES})
    return world if is_calm else _made_for_what_is_rare(world, kind, roll, faults)


def _made_for_what_is_rare(world: World, kind: float, roll: random.Random, faults: frozenset[Fault]) -> World:
    """Some worlds give it a place of its own; the others stay as they are."""
    if 0.42 <= kind < 0.5:
        return _with_busy_workers(world, faults)
    if 0.5 <= kind < 0.56:
        return _with_wrong_clocks(world, faults)
    has_place = kind > 0.56 and world.has(Feature.EXTERNAL) and not world.faults & CLOCKS
    if has_place and Fault.LATE_PUT in faults and roll.random() < 0.5:
        return _with_late_puts(world, faults)
    return world


def _with_busy_workers(world: World, faults: frozenset[Fault]) -> World:
    """The same, undisturbed: each process runs one step at a time, and another may cancel its run.

    In some of them processes die, and leave slots of a queue that others wait for.
    """
    die = world.random("busy workers").random() < 0.4
    added = {Fault.CANCEL_RUN, Fault.CRASH_BETWEEN} if die else {Fault.CANCEL_RUN}
    return attrs.evolve(
        world,
        faults=(world.faults - DISTURBING | added) & faults,
        used=("narrow",) if die else world.used,
        runs=5 if die else world.runs,
        processes=2,
        lease=12.0,
        poll=0.25,
        max_workers=1,
        duration=25.0,
    )


def _with_wrong_clocks(world: World, faults: frozenset[Fault]) -> World:
    """The same, with steps that wait for nothing but their rate, by clocks that are set forward and back."""
    return attrs.evolve(
        world,
        faults=(world.faults | CLOCKS) & faults,
        used=("rated",),
        runs=5,
        steps=10,
        duration=25.0,
    )


def _with_late_puts(world: World, faults: frozenset[Fault]) -> World:
    """The same, with somebody to take a stopped process's steps over, and the time for it.

    Bytes that another life's removal could hit take runs that are deleted, and started again.
    """
    lease = min(6.0, world.lease)
    added = {Fault.LATE_PUT, Fault.DELETE} if world.has(Feature.SAME_BYTES) else {Fault.LATE_PUT}
    return attrs.evolve(
        world,
        faults=(world.faults | added) & faults,
        processes=max(2, world.processes),
        lease=lease,
        duration=max(6 * lease, world.duration),
    )


def _some(roll: random.Random, options: tuple[T, ...], chance: float) -> frozenset[T]:
    return frozenset(option for option in options if roll.random() < chance)


def _queues(roll: random.Random) -> dict[str, QueueConfig]:
    rate = RateLimit(rate_per_second=roll.choice((0.5, 2.0, 5.0)), burst=roll.randint(1, 4))
    return {
        "narrow": QueueConfig(max_workers=roll.randint(1, 2)),
        "wide": QueueConfig(max_workers=roll.randint(2, 5)),
        "rated": QueueConfig(max_workers=3, rate_limit=rate),
    }


def other_queues(roll: random.Random, queues: Mapping[str, QueueConfig]) -> dict[str, QueueConfig]:
    """Of these queues, and of one that nobody else configures: some, with other limits; 0 pauses one."""
    others = {name: attrs.evolve(config, max_workers=roll.randint(0, 3)) for name, config in queues.items()}
    others["unnamed"] = QueueConfig(max_workers=roll.randint(0, 2))
    return {name: config for name, config in others.items() if roll.random() < 0.5}
