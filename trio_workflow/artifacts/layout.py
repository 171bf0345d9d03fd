"""Where the files of an artifact are.

    ROOT/tmp/UNIQUE.part                 bytes that are still being written
    ROOT/AA/NAME/SHA256                  bytes
    ROOT/AA/NAME/SHA256.json             their sidecar: what they are
    ROOT/AA/NAME/latest.json             the sidecar of the last put: what the id alone names

NAME is the id as a file name, AA the first two hexadecimal digits of the id's SHA-256.

Rule 1: two ids never share a NAME, also where the file system takes `A` and `a` for one.
Rule 2: no id and no ref leads out of ROOT: a NAME holds no dot and no separator, a hash is 64 digits.
"""

import hashlib
import re
from pathlib import Path

import attrs

from trio_workflow.filenames import encoded, safe_name

_SHA256 = re.compile(r"[0-9a-f]{64}")


def is_sha256(text: str) -> bool:
    """Whether the text is a SHA-256 in lowercase hexadecimal, and so safe as a file name."""
    return _SHA256.fullmatch(text) is not None


@attrs.frozen
class Place:
    """The folder of one artifact id, and the files in it."""

    shard: Path
    folder: Path

    @property
    def latest(self) -> Path:
        return self.folder / "latest.json"

    def data(self, sha256: str) -> Path:
        return self.folder / sha256

    def sidecar(self, sha256: str) -> Path:
        return self.folder / f"{sha256}.json"

    def owns(self, name: str) -> bool:
        """Whether a file of that name in the folder is the store's."""
        return name == self.latest.name or is_sha256(name.removesuffix(".json"))


@attrs.frozen
class Layout:
    """The folders of a store."""

    root: Path

    @property
    def tmp(self) -> Path:
        return self.root / "tmp"

    def place(self, artifact_id: str) -> Place:
        shard = self.root / hashlib.sha256(encoded(artifact_id)).hexdigest()[:2]
        return Place(shard, shard / safe_name(artifact_id))
