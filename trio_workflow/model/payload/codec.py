"""dumps and loads: between Python values and canonical JSON text."""

from typing import Any

from trio_workflow.errors import ConfigError

from .hooks import hook_of
from .parse import parse
from .problem import problem_from
from .write import encode, plain


def dumps(value: object) -> str:
    """Canonical JSON text: sorted keys, no spaces. Raises PayloadError, naming where in the value."""
    if value is None:
        return "null"
    try:
        data = plain(value)
        return str(data) if type(data) is int else encode(data)
    except Exception as exc:
        raise problem_from(exc).as_error() from exc


def loads(text: str, type_: Any) -> Any:
    """The value of the declared type that the text stands for; Any is plain JSON.

    Raises PayloadError, naming where in the data; ConfigError for a type that check_type refuses.
    """
    raw = parse(text)
    try:
        return hook_of(type_)(raw, None)
    except ConfigError:
        raise
    except Exception as exc:
        raise problem_from(exc).as_error() from exc
