"""Calls, as events."""

import pytest

from .events import ROOT, Cut, Entry, Mark, Names, Sync, Write
from .strace_output import StraceError
from .trace_kit import fd, hexed, opened, quoted, recorded

A, B = "/store/a", "/store/b"


def test_a_file_is_made_written_cut_and_flushed() -> None:
    recording = recorded(
        opened(A, 3),
        f"pwrite64({fd(3, A)}, {quoted('hello')}, 5, 10) = 5",
        f"ftruncate({fd(3, A)}, 12) = 0",
        f"fdatasync({fd(3, A)}) = 0",
    )
    assert recording.events == (
        Names(begin=0, end=0, entries=(Entry(ROOT, "a", 1),)),
        Write(begin=1, end=1, inode=1, offset=10, data=b"hello"),
        Cut(begin=2, end=2, inode=1, size=12, before=15),
        Sync(begin=3, end=3, inode=1),
    )
    assert recording.paths == {ROOT: ".", 1: "a"}
    assert recording.folders == {ROOT}


def test_a_plain_write_goes_on_where_the_last_one_ended() -> None:
    recording = recorded(
        opened(A, 3),
        f"write({fd(3, A)}, {quoted('one')}, 3) = 3",
        f"write({fd(3, A)}, {quoted('twoo')}, 4) = 3",
        f"lseek({fd(3, A)}, 1, SEEK_SET) = 1",
        f"write({fd(3, A)}, {quoted('x')}, 1) = 1",
    )
    writes = [(event.offset, event.data) for event in recording.events if isinstance(event, Write)]
    assert writes == [(0, b"one"), (3, b"two"), (1, b"x")]


def test_an_appending_write_goes_to_the_end() -> None:
    recording = recorded(
        opened(A, 3),
        f"pwrite64({fd(3, A)}, {quoted('12345')}, 5, 0) = 5",
        opened(A, 4, "O_WRONLY|O_APPEND"),
        f"write({fd(4, A)}, {quoted('6')}, 1) = 1",
    )
    assert recording.events[-1] == Write(begin=3, end=3, inode=1, offset=5, data=b"6")


def test_opening_with_o_trunc_cuts_what_is_there() -> None:
    recording = recorded(
        opened(A, 3), f"write({fd(3, A)}, {quoted('1')}, 1) = 1", opened(A, 4, "O_WRONLY|O_TRUNC")
    )
    assert recording.events[-1] == Cut(begin=2, end=2, inode=1, size=0, before=1)


def test_names_follow_links_renames_and_removals() -> None:
    recording = recorded(
        f"mkdir({quoted('/store/d')}, 0700) = 0",
        opened(A, 3),
        f"link({quoted(A)}, {quoted(B)}) = 0",
        f"renameat(AT_FDCWD<{hexed('/store')}>, {quoted('b')}, {fd(9, '/store/d')}, {quoted('c')}) = 0",
        f"unlink({quoted(A)}) = 0",
        f"fsync({fd(4, '/store/d')}) = 0",
    )
    assert recording.folders == {ROOT, 1}
    assert [event.entries for event in recording.events if isinstance(event, Names)] == [
        (Entry(ROOT, "d", 1),),
        (Entry(ROOT, "a", 2),),
        (Entry(ROOT, "b", 2),),
        (Entry(1, "c", 2), Entry(ROOT, "b", None)),
        (Entry(ROOT, "a", None),),
    ]
    assert recording.events[-1] == Sync(begin=5, end=5, inode=1)


def test_a_rename_between_two_names_of_one_file_does_nothing() -> None:
    recording = recorded(
        opened(A, 3), f"link({quoted(A)}, {quoted(B)}) = 0", f"rename({quoted(A)}, {quoted(B)}) = 0"
    )
    assert len(recording.events) == 2


def test_a_file_that_is_removed_and_made_again_is_another_file() -> None:
    recording = recorded(
        opened(A, 3),
        f"unlink({quoted(A)}) = 0",
        opened(A, 4),
        f"write({fd(3, A)}(deleted), {quoted('o')}, 1) = 1",
        f"write({fd(4, A)}, {quoted('n')}, 1) = 1",
    )
    writes = [(event.inode, event.data) for event in recording.events if isinstance(event, Write)]
    assert writes == [(1, b"o"), (2, b"n")]


def test_what_failed_or_is_elsewhere_or_is_shared_memory_is_no_event() -> None:
    recording = recorded(
        f"mkdir({quoted(A)}, 0700) = -1 EEXIST (File exists)",
        opened("/elsewhere", 3),
        f"write({fd(3, '/elsewhere')}, {quoted('x')}, 1) = 1",
        opened("/store/x-shm", 4),
        f"ftruncate({fd(4, '/store/x-shm')}, 3) = 0",
        f"unlink({quoted('/store/x-shm')}) = 0",
        f"write(5<socket:[{7}]>, {quoted('x')}, 1) = 1",
        f"truncate({quoted('/elsewhere')}, 1) = 0",
    )
    assert recording.events == ()


def test_a_line_in_the_file_of_marks_is_a_mark() -> None:
    text = '{"n": 1}'
    line = f"write({fd(9, '/marks')}, {quoted(text)}, 8) = 8"
    assert recorded(line).events == (Mark(begin=0, end=0, line={"n": 1}),)


def test_a_call_that_is_not_understood_is_an_error() -> None:
    with pytest.raises(StraceError, match="truncate is not understood"):
        recorded(f"truncate({quoted(A)}, 1) = 0")


def test_a_write_to_a_file_that_nobody_made_is_an_error() -> None:
    with pytest.raises(StraceError, match="nobody made"):
        recorded(f"write({fd(3, A)}, {quoted('x')}, 1) = 1")
