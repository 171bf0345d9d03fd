"""Any text as the name of a file."""

import hashlib

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")
# Some file systems allow 143 bytes in a name; the rest is room for a suffix.
_LONGEST = 128
_HEAD = 60


def safe_name(text: str) -> str:
    """The text as the name of a file: readable, at most 128 bytes, different for every text.

    All but lowercase letters, digits, `-` and `_` is percent-encoded. `%` alone stands for the empty text,
    and `%-` before a SHA-256 for a long one; percent-encoding writes neither.
    """
    data = encoded(text)
    name = "".join(chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in data)
    if len(name) <= _LONGEST:
        return name or "%"
    return f"{name[:_HEAD]}%-{hashlib.sha256(data).hexdigest()}"


def encoded(text: str) -> bytes:
    # Lone surrogates have no UTF-8; encoded all the same, every text has a name of its own.
    return text.encode("utf-8", "surrogatepass")
