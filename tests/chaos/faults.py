"""What is done to whom and when: a plan that the seed alone decides."""

import random
from collections.abc import Iterator
from enum import StrEnum

import attrs

from .program import LEASE


class FaultKind(StrEnum):
    KILL = "kill"  # SIGKILL
    PAUSE = "pause"  # SIGSTOP, and SIGCONT up to three leases later
    DRAIN = "drain"  # SIGTERM
    STOP = "stop"  # SIGHUP: its workers are cancelled
    HOG = "hog"  # another process holds the write lock
    FULL = "full"  # no room on the disk
    RESTART = "restart"  # SIGINT to one worker after the other, as when a new version is deployed
    BACKUP = "backup"  # the backup of the manual
    SECOND = "second"  # each process opens a second runtime on the file, and closes it
    REMOVE = "remove"  # a worker prunes, or deletes runs
    READER = "reader"  # another process reads, and holds one state of the database
    DESCRIPTORS = "descriptors"  # a worker can open hardly any file


@attrs.frozen
class Rhythm:
    """Mean seconds between two faults of a kind, and how long one lasts at least and at most."""

    pause: float
    shortest: float = 0.0
    longest: float = 0.0


RHYTHMS = {
    FaultKind.KILL: Rhythm(4.0),
    FaultKind.PAUSE: Rhythm(4.0, 0.1, 3 * LEASE),
    FaultKind.DRAIN: Rhythm(10.0),
    FaultKind.STOP: Rhythm(10.0),
    FaultKind.HOG: Rhythm(12.0, 0.2, 2 * LEASE),
    FaultKind.FULL: Rhythm(14.0, 0.5, 2 * LEASE),
    FaultKind.RESTART: Rhythm(20.0),
    FaultKind.BACKUP: Rhythm(10.0),
    FaultKind.SECOND: Rhythm(6.0),
    FaultKind.REMOVE: Rhythm(6.0),
    FaultKind.READER: Rhythm(8.0, 0.2, 3 * LEASE),
    FaultKind.DESCRIPTORS: Rhythm(8.0, 0.5, 2 * LEASE),
}


@attrs.frozen(order=True)
class Fault:
    """at: seconds after the beginning. target: which worker, where it is done to one."""

    at: float
    kind: FaultKind
    target: int
    seconds: float


def plan(seed: int, seconds: float, workers: int) -> list[Fault]:
    """In order of time. Every kind comes at least once; faults of one kind do not overlap."""
    return sorted(
        fault
        for kind in FaultKind
        for fault in _of_kind(kind, random.Random(f"{seed} {kind}"), seconds, workers)
    )


def _of_kind(kind: FaultKind, dice: random.Random, seconds: float, workers: int) -> Iterator[Fault]:
    rhythm = RHYTHMS[kind]
    at = dice.uniform(0.2, 0.6) * min(seconds, 2 * rhythm.pause)
    while at < seconds:
        lasts = dice.uniform(rhythm.shortest, rhythm.longest)
        yield Fault(at, kind, dice.randrange(workers), min(lasts, seconds - at))
        at += lasts + dice.expovariate(1 / rhythm.pause)
