"""A recording, a moment, and the states that a loss of power may leave then."""

import random
from pathlib import Path

from .audit import write_state
from .chance import RandomChance, every
from .disk import Disk, Model
from .events import ROOT, Entry, Names, Recording, Sync, Write
from .trace_kit import fd, opened, quoted, recorded

A, FOLDER = "/store/d/a", "/store/d"

CALLS = (
    f"mkdir({quoted(FOLDER)}, 0700) = 0",
    opened(A, 3),
    f"write({fd(3, A)}, {quoted('x')}, 1) = 1",
    f"fsync({fd(3, A)}) = 0",
    f"fsync({fd(4, FOLDER)}) = 0",
    f"fsync({fd(5, '/store')}) = 0",
    f"link({quoted(A)}, {quoted('/store/b')}) = 0",
)


def states(moment: int, model: Model, recording: Recording | None = None) -> set[str]:
    """Each state as its folders, and its files with their bytes."""
    disk = Disk(recording or recorded(*CALLS))
    disk.advance(moment)
    found: set[str] = set()
    for state in every(lambda chance: disk.draw(model, chance)):
        files = [f"{path}={content.decode()}" for path, content in state.bytes_by_path().items()]
        found.add(" ".join(sorted([*state.folders, *files])))
    return found


def test_before_the_first_event_there_is_nothing() -> None:
    assert states(0, "strict") == states(0, "journal") == {""}


def test_strict_a_file_without_an_entry_is_lost_with_its_bytes() -> None:
    assert states(4, "strict") == {"", "d", "d d/a=x"}
    assert states(5, "strict") == {"", "d d/a=x"}


def test_a_journal_has_kept_the_name_of_a_file_that_was_flushed() -> None:
    assert states(3, "journal") == {"", "d", "d d/a=", "d d/a=\0", "d d/a=x"}
    assert states(4, "journal") == {"d d/a=x"}


def test_an_fsync_that_has_not_been_issued_covers_nothing() -> None:
    assert "" in states(5, "strict")
    assert states(6, "strict") == {"d d/a=x"}


def test_an_fsync_that_is_under_way_covers_nothing() -> None:
    events = (
        Names(begin=1, end=1, entries=(Entry(ROOT, "a", 1),)),
        Write(begin=2, end=2, inode=1, offset=0, data=b"x"),
        Sync(begin=3, end=7, inode=1),
        Sync(begin=4, end=7, inode=ROOT),
    )
    recording = Recording(events, frozenset({ROOT}), {})
    assert states(7, "strict", recording) == states(7, "journal", recording) == {"", "a=", "a=\0", "a=x"}
    assert states(8, "strict", recording) == states(8, "journal", recording) == {"a=x"}


def test_an_fsync_of_a_file_that_grew_commits_the_journal() -> None:
    calls = (
        opened("/store/a", 3),
        opened("/store/b", 4),
        f"write({fd(3, '/store/a')}, {quoted('x')}, 1) = 1",
        f"fsync({fd(3, '/store/a')}) = 0",
    )
    assert states(4, "journal", recorded(*calls)) == {"a=x b="}


def test_two_names_of_a_file_have_one_content() -> None:
    assert states(7, "strict") == states(7, "journal") == {"d d/a=x", "b=x d d/a=x"}


def test_a_state_that_is_drawn_by_a_seed_is_a_possible_one() -> None:
    disk = Disk(recorded(*CALLS))
    disk.advance(4)
    drawn = {tuple(disk.draw("strict", RandomChance(random.Random(seed))).files) for seed in range(200)}
    assert drawn == {(), ("d/a",)}


def test_a_state_is_written_with_its_links(tmp_path: Path) -> None:
    disk = Disk(recorded(*CALLS))
    disk.advance(7)
    full = max(every(lambda chance: disk.draw("journal", chance)), key=lambda state: len(state.files))
    write_state(full, tmp_path)
    assert (tmp_path / "d" / "a").read_bytes() == b"x"
    assert (tmp_path / "b").samefile(tmp_path / "d" / "a")
