"""Which bytes a loss of power may leave in a file: exact sets, of events that are made by hand."""

from .chance import every
from .contents import SECTOR, FileContent
from .events import Cut, Sync, Write


def write(at: int, offset: int, data: bytes, end: int | None = -1) -> Write:
    """Issued at that position, and over at once unless end says otherwise."""
    return Write(begin=at, end=at if end == -1 else end, inode=1, offset=offset, data=data)


def cut(at: int, size: int) -> Cut:
    return Cut(begin=at, end=at, inode=1, size=size, before=0)


def contents(*changes: Write | Cut | Sync) -> set[bytes]:
    content = FileContent()
    for change in changes:
        if isinstance(change, Sync):
            content.cover(change)
        else:
            content.add(change)
    return set(every(content.draw))


def sync(at: int) -> Sync:
    return Sync(begin=at, end=at, inode=1)


def test_without_an_fsync_any_part_of_the_writes_may_be_there() -> None:
    assert contents(write(1, 0, b"ab"), write(2, 2, b"cd")) == {
        *(b"", b"ab", b"abcd"),
        *(b"\0\0", b"\0\0cd", b"\0\0\0\0", b"ab\0\0"),
    }


def test_what_an_fsync_covers_is_there() -> None:
    assert contents(write(1, 0, b"ab"), sync(2), write(3, 0, b"x")) == {b"ab", b"xb"}


def test_an_fsync_does_not_cover_a_write_that_was_still_under_way() -> None:
    assert contents(write(1, 0, b"a", end=9), sync(5)) == {b"", b"\0", b"a"}
    assert contents(write(1, 0, b"a", end=None), sync(5)) == {b"", b"\0", b"a"}


def test_of_writes_under_way_the_later_issued_is_on_top() -> None:
    assert contents(write(1, 0, b"a", end=9), write(2, 0, b"b"), sync(5)) == {b"b"}


def test_a_cut_is_there_or_not() -> None:
    assert contents(write(1, 0, b"abc"), sync(2), cut(3, 1)) == {b"abc", b"a"}
    assert contents(write(1, 0, b"abc"), cut(2, 1), sync(3)) == {b"a"}


def test_a_cut_may_be_there_without_the_write_before_it() -> None:
    found = contents(write(1, 0, b"abc"), sync(2), write(3, 0, b"x"), cut(4, 2))
    assert found == {b"abc", b"xbc", b"ab", b"xb"}


def test_a_cut_to_a_greater_size_makes_zeros() -> None:
    assert contents(write(1, 0, b"a"), sync(2), cut(3, 3)) == {b"a", b"a\0\0"}


def test_a_write_is_torn_at_sectors_of_the_file() -> None:
    old, new = b"o" * (SECTOR + 2), b"n" * 4
    found = contents(write(1, 0, old), sync(2), write(3, SECTOR - 2, new))
    start = b"o" * (SECTOR - 2)
    assert found == {start + middle for middle in (b"oooo", b"nnnn", b"nnoo", b"oonn")}


def test_a_torn_write_may_have_made_the_file_longer() -> None:
    found = contents(write(1, 0, b"n" * (SECTOR + 1)))
    zeros, full = bytes(SECTOR), b"n" * SECTOR
    assert found == {b"", full + b"n", full + b"\0", full, zeros + b"n", zeros + b"\0"}
