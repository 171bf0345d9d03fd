"""What the comparison with peers measured, and the ratios and the Markdown table made of it."""

import statistics
from collections.abc import Sequence

import attrs

OURS = "trio_workflow"
FAN_OUT, HOP, IDLE = "fan-out", "hop", "idle"
WORKS = {
    FAN_OUT: "fan-out, steps/s",
    HOP: "a hop in a chain, p50",
    IDLE: "one-step run, idle system, p50",
}

ONE_AT_A_TIME = "one at a time"
"""A way to do a fan-out that is shown but not compared: it has one step in flight, not 32."""


@attrs.frozen
class Sample:
    """One measurement by one process. `value` is steps per second of a fan-out, else milliseconds.

    `synchronous` is what `PRAGMA synchronous` says: 2 is FULL.
    """

    system: str
    work: str
    way: str
    value: float
    journal_mode: str
    synchronous: int


def median(samples: Sequence[Sample]) -> float:
    return statistics.median(sample.value for sample in samples)


def ways_of(samples: Sequence[Sample], system: str, work: str) -> dict[str, list[Sample]]:
    """The samples of one system's work by the way it was done, each in the order of the rounds."""
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        if (sample.system, sample.work) == (system, work):
            found.setdefault(sample.way, []).append(sample)
    return found


def best_way(samples: Sequence[Sample], system: str, work: str) -> list[Sample]:
    """The samples of the way with the best median: the highest rate, or the shortest time.

    One at a time is no way to have 32 in flight, and is left aside.
    """
    ways = [found for way, found in ways_of(samples, system, work).items() if way != ONE_AT_A_TIME]
    return max(ways, key=median) if work == FAN_OUT else min(ways, key=median)


def speed_ratio(ours: Sequence[Sample], theirs: Sequence[Sample]) -> float:
    """Our speed divided by theirs, of the same rounds: the median of the rounds. Above 1, ours is faster."""
    pairs = zip(ours, theirs, strict=True)
    return statistics.median(_ratio(our, their) for our, their in pairs)


def _ratio(ours: Sample, theirs: Sample) -> float:
    return ours.value / theirs.value if ours.work == FAN_OUT else theirs.value / ours.value


def amount(value: float, work: str) -> str:
    return f"{value:,.0f}" if work == FAN_OUT else f"{value:.2f} ms"


def times(ratio: float) -> str:
    return f"{ratio:.0f}×" if ratio >= 10 else f"{ratio:.1f}×"


def table(samples: Sequence[Sample], titles: dict[str, str]) -> str:
    """One line per system, in the order of `titles`; behind a peer's figure how much faster ours is."""
    lines = [
        "| system | " + " | ".join(WORKS.values()) + " |",
        "|---|" + "---|" * len(WORKS),
    ]
    for system, title in titles.items():
        cells = [_cell(samples, system, work) for work in WORKS]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(samples: Sequence[Sample], system: str, work: str) -> str:
    theirs = best_way(samples, system, work)
    text = amount(median(theirs), work)
    if system == OURS:
        return text
    return f"{text} ({times(speed_ratio(best_way(samples, OURS, work), theirs))})"


def lines_of_ways(samples: Sequence[Sample], system: str) -> list[str]:
    """What every way of a system reached: median, and the lowest and highest of the rounds."""
    lines: list[str] = []
    for work in WORKS:
        for way, found in ways_of(samples, system, work).items():
            low, high = min(s.value for s in found), max(s.value for s in found)
            lines.append(
                f"{work}, {way}: {amount(median(found), work)} ({amount(low, work)} to {amount(high, work)})"
            )
    return lines


def modes(samples: Sequence[Sample], system: str) -> str:
    """The journal modes and `synchronous` values that this system's files were found in."""
    found = {(s.journal_mode, s.synchronous) for s in samples if s.system == system}
    return ", ".join(f"journal_mode={journal} synchronous={sync}" for journal, sync in sorted(found))
