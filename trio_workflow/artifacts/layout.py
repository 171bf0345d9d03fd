"""Where the files of an artifact are.

    ROOT/tmp/UNIQUE.part                 bytes that are still being written
    ROOT/AA/NAME/STEM                    bytes
    ROOT/AA/NAME/STEM.json               their sidecar: what they are
    ROOT/AA/NAME/latest.json             the sidecar of the last put: what the id alone names

NAME is the id as a file name, AA the first two hexadecimal digits of the id's SHA-256. STEM is the SHA-256 of
the bytes, with -LIFE after it if they have a life. A ref has the path of its bytes as its uri, of which only
the STEM matters: the ROOT may have moved.

Rule 1: two ids never share a NAME, also where the file system takes `A` and `a` for one.
Rule 2: no id and no ref leads out of ROOT: a NAME holds no dot and no separator, nor does a STEM.
Rule 3: bytes of two lives never share a file, and equal bytes of one life do.
"""

import hashlib
import re
from pathlib import Path

import attrs

from trio_workflow.errors import OptionError
from trio_workflow.filenames import encoded, safe_name
from trio_workflow.model.artifact import ArtifactRef

_LIFE = re.compile(r"[0-9a-z_-]{0,64}")
_STEM = re.compile(r"([0-9a-f]{64})(-[0-9a-z_-]{1,64})?")


def check_life(life: object) -> None:
    """Raise OptionError for what is no life: it is to be part of a file name."""
    if not isinstance(life, str) or _LIFE.fullmatch(life) is None:
        raise OptionError(
            f'an artifact\'s life is at most 64 lowercase letters, digits, "-" and "_", not {life!r}'
        )


def stem(sha256: str, life: str) -> str:
    return f"{sha256}-{life}" if life else sha256


def stem_of(ref: ArtifactRef) -> str | None:
    """The stem of the bytes that a ref names; None if its SHA-256 is none."""
    last = ref.uri.rpartition("/")[2]
    for name in (last, ref.sha256):
        found = _STEM.fullmatch(name)
        if found is not None and found[1] == ref.sha256:
            return name
    return None


@attrs.frozen
class Place:
    """The folder of one artifact id, and the files in it."""

    shard: Path
    folder: Path

    @property
    def latest(self) -> Path:
        return self.folder / "latest.json"

    def data(self, stem: str) -> Path:
        return self.folder / stem

    def sidecar(self, stem: str) -> Path:
        return self.folder / f"{stem}.json"

    def owns(self, name: str) -> bool:
        """Whether a file of that name in the folder is the store's."""
        return name == self.latest.name or _STEM.fullmatch(name.removesuffix(".json")) is not None


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
