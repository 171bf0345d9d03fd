"""What the disk holds for certain at a moment of a recording, and the states that loss of power may leave."""

from typing import Literal

import attrs

from .chance import Chance
from .contents import FileContent
from .events import ROOT, Cut, Event, Names, Recording, Sync, Write
from .names import Entries, JournalNames, StrictNames

Model = Literal["strict", "journal"]
MODELS: tuple[Model, ...] = ("strict", "journal")


@attrs.frozen
class State:
    """folders and files: paths below the root. files: path -> inode; contents: inode -> bytes."""

    folders: tuple[str, ...]
    files: dict[str, int]
    contents: dict[int, bytes]

    def bytes_by_path(self) -> dict[str, bytes]:
        return {path: self.contents[inode] for path, inode in self.files.items()}


class Disk:
    """Goes through a recording, forwards only."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._to_issue = sorted(recording.events, key=lambda event: event.begin, reverse=True)
        self._to_return = sorted(
            (event for event in recording.events if isinstance(event, Sync) and event.end is not None),
            key=lambda event: event.end or 0,
            reverse=True,
        )
        self._contents: dict[int, FileContent] = {}
        self._names: dict[Model, StrictNames | JournalNames] = {
            "strict": StrictNames(),
            "journal": JournalNames(),
        }

    def advance(self, moment: int) -> None:
        """Everything before that position of the trace has been issued, or has returned."""
        while self._to_issue and self._to_issue[-1].begin < moment:
            self._issue(self._to_issue.pop())
        self._return_before(moment)

    def _issue(self, event: Event) -> None:
        if isinstance(event, Write | Cut):
            content = self._content(event.inode)
            size = content.size
            content.add(event)
            if content.size != size:
                self._touch(event.inode)
        elif isinstance(event, Names):
            for names in self._names.values():
                names.add(event)
        elif isinstance(event, Sync):
            for names in self._names.values():
                names.issue(event)

    def _touch(self, inode: int) -> None:
        for names in self._names.values():
            names.touch(inode)

    def _return_before(self, position: int) -> None:
        while self._to_return and self._to_return[-1].is_over_before(position):
            sync = self._to_return.pop()
            for names in self._names.values():
                names.cover(sync)
            if sync.inode in self._contents:
                self._contents[sync.inode].cover(sync)

    def _content(self, inode: int) -> FileContent:
        return self._contents.setdefault(inode, FileContent())

    def draw(self, model: Model, chance: Chance) -> State:
        """One state that a loss of power at this moment may leave."""
        folders: list[str] = []
        files: dict[str, int] = {}
        self._walk(ROOT, "", self._names[model].draw(chance), folders, files)
        contents: dict[int, bytes] = {}
        for inode in dict.fromkeys(files.values()):
            chance.next_object()
            contents[inode] = self._content(inode).draw(chance)
        return State(tuple(folders), files, contents)

    def _walk(
        self, folder: int, path: str, entries: Entries, folders: list[str], files: dict[str, int]
    ) -> None:
        """What can be reached from a folder: entries of a folder that has itself no entry are lost."""
        for name, inode in entries.get(folder, {}).items():
            if inode in self._recording.folders:
                folders.append(f"{path}{name}")
                self._walk(inode, f"{path}{name}/", entries, folders, files)
            else:
                files[f"{path}{name}"] = inode
