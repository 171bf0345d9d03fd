"""Which directory entries a loss of power may leave: exact sets, of events that are made by hand."""

from .chance import every
from .events import ROOT, Entry, Event, Names, Sync
from .names import Entries, JournalNames, StrictNames


def names(at: int, *entries: Entry) -> Names:
    return Names(begin=at, end=at, entries=entries)


def put(at: int, name: str, inode: int, folder: int = ROOT) -> Names:
    return names(at, Entry(folder, name, inode))


def gone(at: int, name: str, folder: int = ROOT) -> Names:
    return names(at, Entry(folder, name, None))


def sync(at: int, inode: int) -> Sync:
    return Sync(begin=at, end=at, inode=inode)


def plain(entries: Entries) -> str:
    """ROOT's entries as name=inode, then those of other folders as folder/name=inode, sorted."""
    found = [
        f"{name}={inode}" if folder == ROOT else f"{folder}/{name}={inode}"
        for folder, content in entries.items()
        for name, inode in content.items()
    ]
    return " ".join(sorted(found))


def states(model: StrictNames | JournalNames, *events: Event) -> set[str]:
    for event in events:
        if isinstance(event, Names):
            model.add(event)
        elif isinstance(event, Sync):
            model.issue(event)
            model.cover(event)
    return {plain(entries) for entries in every(model.draw)}


def strict(*events: Event) -> set[str]:
    return states(StrictNames(), *events)


def journal(*events: Event) -> set[str]:
    return states(JournalNames(), *events)


def test_strict_any_of_the_later_entries_may_be_there() -> None:
    assert strict(put(1, "a", 1), put(2, "b", 2)) == {"", "a=1", "b=2", "a=1 b=2"}


def test_strict_an_fsync_of_the_folder_covers_what_was_before_it() -> None:
    assert strict(put(1, "a", 1), sync(2, ROOT), put(3, "b", 2)) == {"a=1", "a=1 b=2"}


def test_strict_an_fsync_of_the_file_says_nothing_about_its_name() -> None:
    assert strict(put(1, "a", 1), sync(2, 1)) == {"", "a=1"}


def test_strict_an_entry_that_is_covered_is_there_beside_one_that_was_under_way() -> None:
    under_way = Names(begin=1, end=9, entries=(Entry(ROOT, "a", 1),))
    assert strict(under_way, put(2, "b", 2), sync(3, ROOT)) == {"b=2", "a=1 b=2"}


def test_strict_a_name_may_lead_to_what_it_led_to_before() -> None:
    found = strict(put(1, "a", 1), sync(2, ROOT), gone(3, "a"), put(4, "a", 2))
    assert found == {"a=1", "", "a=2"}


def test_strict_a_rename_within_a_folder_is_one_change() -> None:
    rename = names(3, Entry(ROOT, "b", 1), Entry(ROOT, "a", None))
    assert strict(put(1, "a", 1), sync(2, ROOT), rename) == {"a=1", "b=1"}


def test_strict_a_rename_between_folders_is_a_change_of_each() -> None:
    rename = names(5, Entry(9, "b", 1), Entry(ROOT, "a", None))
    before = [put(1, "d", 9), put(2, "a", 1), sync(3, ROOT)]
    assert strict(*before, rename) == {"a=1 d=9", "d=9", "9/b=1 a=1 d=9", "9/b=1 d=9"}
    assert strict(*before, rename, sync(6, 9)) == {"9/b=1 a=1 d=9", "9/b=1 d=9"}


def test_strict_a_folder_that_was_flushed_is_lost_with_its_own_entry() -> None:
    assert strict(put(1, "d", 9), put(2, "a", 1, folder=9), sync(3, 9)) == {"9/a=1", "9/a=1 d=9"}


def test_journal_changes_are_kept_in_order() -> None:
    assert journal(put(1, "a", 1), put(2, "b", 2)) == {"", "a=1", "a=1 b=2"}


def test_journal_an_fsync_of_a_file_commits_its_name_and_all_before_it() -> None:
    events = [put(1, "a", 1), put(2, "b", 2), put(3, "c", 3)]
    assert journal(*events, sync(4, 2)) == {"a=1 b=2", "a=1 b=2 c=3"}


def test_journal_an_fsync_of_a_folder_commits_its_entries() -> None:
    events = [put(1, "d", 9), put(2, "a", 1, folder=9), put(3, "b", 2)]
    assert journal(*events, sync(4, 9)) == {"9/a=1 d=9", "9/a=1 b=2 d=9"}


def test_journal_an_fsync_of_a_file_that_grew_commits_what_was_before_it_grew() -> None:
    model = JournalNames()
    for change in (put(1, "a", 1), put(2, "b", 2)):
        model.add(change)
    model.touch(1)
    assert states(model, put(4, "c", 3), sync(5, 1)) == {"a=1 b=2", "a=1 b=2 c=3"}


def test_journal_an_fsync_covers_nothing_that_came_while_it_was_under_way() -> None:
    model, under_way = JournalNames(), Sync(begin=2, end=4, inode=ROOT)
    model.add(put(1, "a", 1))
    model.issue(under_way)
    model.add(put(3, "b", 2))
    assert states(model) == {"", "a=1", "a=1 b=2"}
    model.cover(under_way)
    assert states(model) == {"a=1", "a=1 b=2"}
