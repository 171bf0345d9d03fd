"""The names of files while a recording is read: which inode a path leads to at that moment."""

from .events import ROOT, Entry

_NOT_RECORDED = "-shm"


class Tree:
    """The folder at root and all below it. A folder keeps its inode when it is renamed."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._entries: dict[int, dict[str, int]] = {ROOT: {}}
        self.paths: dict[int, str] = {ROOT: "."}
        self.deleted: dict[str, int] = {}
        """The inode that a path led to when it was last removed: a descriptor may still be open on it."""

    @property
    def folders(self) -> set[int]:
        return set(self._entries)

    def holds(self, path: str) -> bool:
        return path == self._root or path.startswith(f"{self._root}/")

    def counts(self, path: str) -> bool:
        """Whether what happens to the path belongs to the recording."""
        return self.holds(path) and not path.endswith(_NOT_RECORDED)

    def find(self, path: str) -> int | None:
        if not self.holds(path):
            return None
        inode: int | None = ROOT
        for part in self._parts(path):
            inode = None if inode is None else self._entries.get(inode, {}).get(part)
        return inode

    def new(self, path: str, *, is_folder: bool = False) -> int:
        """A new inode, of no name yet; path is for people."""
        inode = len(self.paths)
        self.paths[inode] = "/".join(self._parts(path))
        if is_folder:
            self._entries[inode] = {}
        return inode

    def put(self, path: str, inode: int) -> Entry:
        folder, name = self._place(path)
        replaced = self._entries[folder].get(name)
        if replaced is not None:
            self.deleted[path] = replaced
        self._entries[folder][name] = inode
        return Entry(folder, name, inode)

    def remove(self, path: str) -> Entry:
        folder, name = self._place(path)
        self.deleted[path] = self._entries[folder].pop(name)
        return Entry(folder, name, None)

    def _place(self, path: str) -> tuple[int, str]:
        above, _, name = path.rpartition("/")
        folder = self.find(above)
        if folder is None or folder not in self._entries:
            raise LookupError(f"{above} is no folder that the recording knows")
        return folder, name

    def _parts(self, path: str) -> list[str]:
        return [part for part in path.removeprefix(self._root).split("/") if part]
