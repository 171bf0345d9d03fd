"""Artifacts as values: what is put into an artifact store, and the reference that names exact bytes."""

import os
from collections.abc import AsyncIterable, Mapping

import attrs

Body = bytes | bytearray | memoryview | os.PathLike[str] | AsyncIterable[bytes]


@attrs.frozen(kw_only=True)
class ArtifactObject:
    """What an artifact store is asked to keep. body: bytes, the path of a file, or an iterable of bytes.

    life: tells runs apart that had the same id one after another, "" for what belongs to no run; at most 64
    lowercase letters, digits, "-" and "_". Who removes the bytes of one life may be late, and must not take
    those of the next, though id and bytes be the same.
    """

    id: str
    name: str
    kind: str
    content_type: str
    metadata: Mapping[str, str]
    body: Body
    life: str = ""


@attrs.frozen(kw_only=True)
class ArtifactRef:
    """Exact stored bytes: size in bytes, and their SHA-256 in hexadecimal."""

    id: str
    uri: str
    name: str
    kind: str
    content_type: str
    metadata: Mapping[str, str]
    size: int
    sha256: str
