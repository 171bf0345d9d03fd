"""The directory entries that a loss of power may leave.

StrictNames: what POSIX promises. An entry is there if its folder was fsynced after the change; of the later
changes of a folder any may be there. A rename within one folder is one change, and between two folders a
change of each. fsync of a file says nothing about its names.

JournalNames: what a journalling file system such as ext4 does. All changes are kept in order, and a prefix of
them is there. An fsync commits the journal up to the last change of what is synced: of its names, of a
folder's entries, of a file's length.
"""

from collections.abc import Callable

import attrs

from .chance import Chance
from .events import ROOT, Entry, Event, Names, Sync
from .pending import Pending

Entries = dict[int, dict[str, int]]
"""Folder -> name -> inode."""


def _apply(entries: Entries, entry: Entry) -> None:
    folder = entries.setdefault(entry.folder, {})
    if entry.inode is None:
        folder.pop(entry.name, None)
    else:
        folder[entry.name] = entry.inode


class StrictNames:
    def __init__(self) -> None:
        self._durable: Entries = {ROOT: {}}
        self._pending: dict[int, Pending[Names]] = {}

    def add(self, change: Names) -> None:
        for folder in dict.fromkeys(entry.folder for entry in change.entries):
            entries = tuple(entry for entry in change.entries if entry.folder == folder)
            pending = self._pending.setdefault(folder, Pending(self._into(self._durable)))
            pending.add(attrs.evolve(change, entries=entries))

    def touch(self, inode: int) -> None:
        """The length of a file has nothing to do with names."""

    def issue(self, sync: Sync) -> None:
        """An fsync that has not returned covers nothing."""

    def cover(self, sync: Sync) -> None:
        if sync.inode in self._pending:
            self._pending[sync.inode].cover(sync)

    def draw(self, chance: Chance) -> Entries:
        entries = {folder: dict(names) for folder, names in self._durable.items()}
        apply = self._into(entries)
        for pending in self._pending.values():
            chance.next_object()
            for change, is_covered in pending:
                if is_covered or chance.is_kept():
                    apply(change)
        return entries

    @staticmethod
    def _into(entries: Entries) -> Callable[[Names], None]:
        def apply(change: Names) -> None:
            for entry in change.entries:
                _apply(entries, entry)

        return apply


class JournalNames:
    def __init__(self) -> None:
        self._changes: list[Names] = []
        self._touched: dict[int, int] = {}  # inode -> how many changes there were after its own last one
        self._issued: dict[Event, int] = {}  # fsync that has not returned -> how many changes it commits
        self._committed = 0

    def add(self, change: Names) -> None:
        self._changes.append(change)
        for entry in change.entries:
            self.touch(entry.folder)
            if entry.inode is not None:
                self.touch(entry.inode)

    def touch(self, inode: int) -> None:
        """The length of that file has changed, and with it something that the journal keeps in order."""
        self._touched[inode] = len(self._changes)

    def issue(self, sync: Sync) -> None:
        self._issued[sync] = self._touched.get(sync.inode, 0)

    def cover(self, sync: Sync) -> None:
        self._committed = max(self._committed, self._issued.pop(sync))

    def draw(self, chance: Chance) -> Entries:
        entries: Entries = {ROOT: {}}
        for change in self._changes[: chance.prefix(self._committed, len(self._changes))]:
            for entry in change.entries:
                _apply(entries, entry)
        return entries
