"""Many states of many recordings: what was drawn, what was wrong with it, and how to make it again."""

import logging
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs

from .acknowledged import Acknowledged, acknowledged
from .audit import examine, write_state
from .chance import RandomChance
from .disk import MODELS, Disk, Model, State
from .events import Cut, Event, Mark, Names, Recording, Sync, Write
from .record import REPOSITORY, record
from .setting import Setting
from .strace_output import StraceError

STATES = 50
"""States of one recording."""

_MEMORY = Path("/dev/shm")
_ROOM = 1 << 30


@attrs.frozen
class Draw:
    """One state: which, of which moment, under which model of names."""

    index: int
    moment: int
    model: Model


@attrs.frozen
class Violation:
    setting: Setting
    draw: Draw | None  # None: the workload itself failed
    when: str
    problems: tuple[str, ...]

    def __str__(self) -> str:
        where = f"{self.setting}: "
        if self.draw is not None:
            where = f"{self.setting}, state {self.setting.seed}:{self.draw.index}, "
            where += f"names {self.draw.model}, moment {self.draw.moment} {self.when}: "
        return where + "\n    ".join(["", *self.problems])


@attrs.frozen
class Result:
    """What became of one recording. events: how many of each kind it has."""

    states: int
    events: Counter[str]
    violations: tuple[Violation, ...]


def draws(recording: Recording, seed: int, indexes: Iterable[int]) -> list[Draw]:
    """By moment. Writes are many: most moments come right after events of the rarer groups."""
    moments = [_moments_after(events) for events in _groups(recording) if events]
    drawn: list[Draw] = []
    for index in indexes:
        source = _source(seed, index)
        drawn.append(Draw(index, source.choice(source.choice(moments)), source.choice(MODELS)))
    return sorted(drawn, key=lambda draw: draw.moment)


def _groups(recording: Recording) -> list[list[Event]]:
    """All events; marks; cuts that make a file shorter; changes of names; the first start but its writes."""
    events, marks = recording.events, recording.marks
    started = next((mark.begin for mark in marks if mark.line["mark"] == "done" and mark.line["runs"]), 0)
    return [
        list(events),
        list(marks),
        [event for event in events if isinstance(event, Cut) and event.size < event.before],
        [event for event in events if isinstance(event, Names)],
        [event for event in events if event.begin < started and not isinstance(event, Write)],
    ]


def _moments_after(events: Iterable[Event]) -> list[int]:
    """After the begin, and after the end, of each."""
    return sorted({place + 1 for event in events for place in (event.begin, event.end) if place is not None})


def _source(seed: int, *words: object) -> random.Random:
    return random.Random(" ".join(map(str, (seed, *words))))


def be_quiet() -> None:
    """The engine warns of runs that a loss of power had interrupted, and of damage; only violations count."""
    logging.disable(logging.CRITICAL)


def play(
    seed: int,
    indexes: Sequence[int],
    keep: Path | None = None,
    package: Path = REPOSITORY,
    *,
    keep_all: bool = False,
) -> Result:
    """Record that seed's workload, and examine those states of it.

    keep: where states with violations go, or all states. package: the folder that has trio_workflow.
    """
    setting = Setting(seed)
    with temporary_folder() as folder:
        try:
            recording = record(setting, folder, package)
        except StraceError as error:
            return Result(0, Counter(), (Violation(setting, None, "", tuple(str(error).splitlines())),))
        violations = tuple(examined(setting, recording, indexes, folder, keep, keep_all=keep_all))
        if keep and (keep_all or violations):
            keep.mkdir(parents=True, exist_ok=True)
            shutil.copy(folder / "trace", keep / f"{seed}.trace")
    kinds = Counter(type(event).__name__ for event in recording.events)
    return Result(len(indexes), kinds, violations)


@contextmanager
def temporary_folder() -> Generator[Path]:
    """Recordings and states are written and flushed by the thousand: in memory, where there is room."""
    has_room = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM
    with tempfile.TemporaryDirectory(prefix="power-loss-", dir=_MEMORY if has_room else None) as name:
        yield Path(name)


def examined(
    setting: Setting,
    recording: Recording,
    indexes: Iterable[int],
    folder: Path,
    keep: Path | None = None,
    *,
    keep_all: bool = False,
) -> Iterator[Violation]:
    """The violations, one after the other, as the states are made in the folder."""
    disk, promised = Disk(recording), acknowledged(recording.marks)
    for draw in draws(recording, setting.seed, indexes):
        disk.advance(draw.moment)
        state = disk.draw(draw.model, RandomChance(_source(setting.seed, draw.index, "state")))
        problems = _examine(state, folder / str(draw.index), setting, draw, promised)
        if keep and (keep_all or problems):
            write_state(state, keep / f"{setting.seed}-{draw.index}")
        if problems:
            yield Violation(setting, draw, when(recording, draw.moment), tuple(problems))


def _examine(state: State, root: Path, setting: Setting, draw: Draw, promised: Acknowledged) -> list[str]:
    root.mkdir()
    try:
        write_state(state, root)
        return examine(root, setting, promised, draw.moment)
    finally:
        shutil.rmtree(root)


def when(recording: Recording, moment: int) -> str:
    """The last event that was issued before the moment, for people."""
    last = max((event for event in recording.events if event.begin < moment), key=lambda event: event.begin)
    state = "after" if last.is_over_before(moment) else "during"
    if isinstance(last, Mark):
        return f"after the mark {last.line['mark']} {last.line['operation']} {' '.join(last.line['runs'])}"
    if isinstance(last, Names):
        changed = [f"{recording.paths[entry.folder]}/{entry.name}" for entry in last.entries]
        return f"{state} the change of {', '.join(changed)}"
    assert isinstance(last, Sync | Write | Cut)
    return f"{state} the {type(last).__name__.lower()} of {recording.paths[last.inode]}"
