"""Calls as events: which file each call was about, and what it did to the names of files.

Calls are taken in the order in which they returned: a descriptor is used only after the call that opened it
has returned. SQLite's -shm is left out: it is mapped into memory, and is rebuilt after a loss of power.
"""

import json
import re
from collections.abc import Callable, Iterable
from os.path import join, normpath

from .events import Cut, Entry, Event, Mark, Names, Recording, Sync, Write
from .strace_output import Call, StraceError, bytes_of
from .tree import Tree

_DESCRIPTOR = re.compile(r"(-?\d+|AT_FDCWD)<([^>]*)>(\(deleted\))?.*")
_DELETED = " (deleted)"

CALLS = (
    *("open", "openat", "creat", "write", "pwrite64", "lseek", "fsync", "fdatasync", "ftruncate"),
    *("rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir"),
)
"""The calls that are understood."""

REFUSED = (
    *("writev", "pwritev", "pwritev2", "truncate", "fallocate", "copy_file_range", "sendfile", "splice"),
    *("symlink", "symlinkat", "sync_file_range"),
)
"""Calls that change the disk, and that the recorder has no event for: within the folder they are errors."""


class Recorder:
    """root: the folder that counts. marks: the file that the program writes its marks to."""

    def __init__(self, root: str, marks: str) -> None:
        self._tree = Tree(root)
        self._marks = marks
        self._events: list[Event] = []
        self._positions: dict[tuple[int, int], int] = {}  # (inode, descriptor) -> where write() goes on
        self._appending: set[tuple[int, int]] = set()
        self._sizes: dict[int, int] = {}

    def recording(self, calls: Iterable[Call]) -> Recording:
        for call in calls:
            if not call.has_failed:
                self._take(call)
        events = tuple(sorted(self._events, key=lambda event: event.begin))
        return Recording(events, frozenset(self._tree.folders), dict(self._tree.paths))

    def _take(self, call: Call) -> None:
        if call.name in REFUSED:
            if any(self._tree.holds(path) for path in _paths(call)):
                raise StraceError(f"line {call.begin + 1} of the trace: {call.name} is not understood")
            return
        _TAKERS[call.name](self, call)

    # Contents

    def open(self, call: Call) -> None:
        opened = _descriptor(f"{call.result}{call.result_text}") if call.result is not None else None
        flags = set(next((a for a in call.arguments if a.startswith("O_")), "O_CREAT|O_TRUNC").split("|"))
        if opened is None or not self._tree.counts(opened[1]):
            return
        descriptor, path, _ = opened
        inode = self._tree.find(path)
        if inode is None:
            if "O_CREAT" not in flags:
                return
            inode = self._tree.new(path)
            self._name(call, self._tree.put(path, inode))
        elif "O_TRUNC" in flags and self._sizes.get(inode, 0):
            self._cut(call, inode, 0)
        key = inode, descriptor
        self._positions[key] = 0
        (self._appending.add if "O_APPEND" in flags else self._appending.discard)(key)

    def seek(self, call: Call) -> None:
        about = self._about(call)
        if about is not None and call.result is not None:
            self._positions[about[1], about[0]] = call.result

    def write(self, call: Call) -> None:
        data = bytes_of(call.arguments[1])[: call.result]
        found = _descriptor(call.arguments[0])
        if found is not None and found[1] == self._marks:
            self._events.append(Mark(begin=call.begin, end=call.end, line=json.loads(data)))
            return
        about = self._about(call)
        if about is None:
            return
        descriptor, inode = about
        key = inode, descriptor
        if call.name == "pwrite64":
            offset = int(call.arguments[3])
        else:
            offset = self._sizes.get(inode, 0) if key in self._appending else self._positions.get(key, 0)
            self._positions[key] = offset + len(data)
        self._sizes[inode] = max(self._sizes.get(inode, 0), offset + len(data))
        self._events.append(Write(begin=call.begin, end=call.end, inode=inode, offset=offset, data=data))

    def cut(self, call: Call) -> None:
        about = self._about(call)
        if about is not None:
            self._cut(call, about[1], int(call.arguments[1]))

    def _cut(self, call: Call, inode: int, size: int) -> None:
        before, self._sizes[inode] = self._sizes.get(inode, 0), size
        self._events.append(Cut(begin=call.begin, end=call.end, inode=inode, size=size, before=before))

    def sync(self, call: Call) -> None:
        about = self._about(call)
        if about is not None:
            self._events.append(Sync(begin=call.begin, end=call.end, inode=about[1]))

    def _about(self, call: Call) -> tuple[int, int] | None:
        """The descriptor of the call's first argument, and the inode behind it, if that counts."""
        found = _descriptor(call.arguments[0])
        if found is None or not self._tree.counts(found[1]):
            return None
        descriptor, path, is_deleted = found
        inode = self._tree.deleted.get(path) if is_deleted else self._tree.find(path)
        if inode is None:
            raise StraceError(f"line {call.begin + 1} of the trace: nobody made {path}")
        return descriptor, inode

    # Names

    def link(self, call: Call) -> None:
        source, path = _paths(call)
        inode = self._tree.find(source)
        if inode is not None and self._tree.counts(path):
            self._name(call, self._tree.put(path, inode))

    def rename(self, call: Call) -> None:
        source, path = _paths(call)
        inode = self._tree.find(source)
        if inode is None or self._tree.find(path) == inode:
            return  # a rename between two names of one file does nothing
        self._name(call, self._tree.put(path, inode), self._tree.remove(source))

    def unlink(self, call: Call) -> None:
        [path] = _paths(call)
        if self._tree.counts(path):
            self._name(call, self._tree.remove(path))

    def make_folder(self, call: Call) -> None:
        [path] = _paths(call)
        if self._tree.counts(path):
            self._name(call, self._tree.put(path, self._tree.new(path, is_folder=True)))

    def _name(self, call: Call, *entries: Entry) -> None:
        self._events.append(Names(begin=call.begin, end=call.end, entries=entries))


_TAKERS: dict[str, Callable[[Recorder, Call], None]] = {
    **dict.fromkeys(("open", "openat", "creat"), Recorder.open),
    **dict.fromkeys(("write", "pwrite64"), Recorder.write),
    "lseek": Recorder.seek,
    **dict.fromkeys(("fsync", "fdatasync"), Recorder.sync),
    "ftruncate": Recorder.cut,
    **dict.fromkeys(("link", "linkat"), Recorder.link),
    **dict.fromkeys(("rename", "renameat", "renameat2"), Recorder.rename),
    **dict.fromkeys(("unlink", "unlinkat", "rmdir"), Recorder.unlink),
    **dict.fromkeys(("mkdir", "mkdirat"), Recorder.make_folder),
}


def _descriptor(text: str) -> tuple[int, str, bool] | None:
    """A descriptor, the path that it was opened by, and whether that has been deleted since."""
    found = _DESCRIPTOR.fullmatch(text)
    if found is None or found[1] == "AT_FDCWD" or not found[2].startswith("\\x"):
        return None
    path = bytes_of(found[2]).decode()
    is_deleted = found[3] is not None or path.endswith(_DELETED)
    return int(found[1]), path.removesuffix(_DELETED), is_deleted


def _paths(call: Call) -> list[str]:
    """The paths that a call names. One may follow the descriptor of the folder that it starts from."""
    paths: list[str] = []
    folder = "/"
    for argument in call.arguments:
        found = _DESCRIPTOR.fullmatch(argument)
        if found is not None:
            folder = bytes_of(found[2]).decode(errors="replace")
        elif argument.startswith('"'):
            paths.append(normpath(join(folder, bytes_of(argument).decode())))
            folder = "/"
    return paths
