"""Texts that can always be stored and shown, whatever they are made from."""

import re
import reprlib
import unicodedata

from trio_workflow.errors import OptionError

MAX_NAME = 255

# A lone surrogate has no UTF-8 form, and several databases refuse NUL inside text.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_REPLACEMENT = "\ufffd"

_short_repr = reprlib.Repr()
_short_repr.maxstring = _short_repr.maxother = _short_repr.maxlong = 60
_short_repr.maxlevel = 3


def clean_text(text: object, limit: int = 4000) -> str:
    """Text that can be stored: never raises, holds no NUL or lone surrogate, at most ``limit`` characters."""
    try:
        # The base class's own method: a subclass of str may not choose what is stored.
        whole = str.__str__(text if isinstance(text, str) else str(text))
    except Exception as exc:
        whole = f"<{type(text).__name__} whose text cannot be had: {type(exc).__name__}>"
    return _UNSTORABLE.sub(_REPLACEMENT, _cut(whole, limit))


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    note = f"… [cut from {len(text)} characters]"
    return text[: limit - len(note)] + note if len(note) < limit else text[: max(limit, 0)]


def brief(value: object) -> str:
    """A repr for a message: short, on one line, and had from any object."""
    try:
        text = _short_repr.repr(value)
    except Exception as exc:
        text = f"<{type(value).__name__} whose repr cannot be had: {type(exc).__name__}>"
    return clean_text(text, 120)


def require_name(what: str, value: object) -> str:
    """The value if it is a name: 1 to 255 characters, none of them a control character, storable as UTF-8."""
    # The common case, in a few C calls: neither a control character nor a surrogate is printable.
    if type(value) is str and 0 < len(value) <= MAX_NAME and value.isprintable():
        return value
    if not isinstance(value, str):
        raise OptionError(f"{what} must be a str, not {type(value).__name__} {brief(value)}")
    name = str.__str__(value)
    if not 0 < len(name) <= MAX_NAME:
        raise OptionError(f"{what} must be 1 to {MAX_NAME} characters long, not {len(name)}: {brief(name)}")
    if any(unicodedata.category(char) == "Cc" for char in name):
        raise OptionError(f"{what} must be free of control characters, not {brief(name)}")
    if not is_encodable(name):
        raise OptionError(f"{what} must be encodable as UTF-8 (no lone surrogates), not {brief(name)}")
    return name


def is_encodable(text: str) -> bool:
    """Whether the text has a UTF-8 form, that is, holds no lone surrogate."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
