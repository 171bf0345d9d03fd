"""Where user code raised something: its traceback, without the frames of ours and of trio's."""

import os
import traceback
from pathlib import Path

import trio

import trio_workflow

_FOREIGN = tuple(str(Path(module.__file__ or "").parent) + os.sep for module in (trio, trio_workflow))
SHOWN = 40  # lines


def place_of(error: BaseException) -> str:
    """Indented, from a new line on; empty for an error that was raised nowhere else."""
    shown = traceback.TracebackException.from_exception(error)
    if not any(map(_is_users, shown.stack)) and not isinstance(error, BaseExceptionGroup):
        return ""
    _trim(shown)
    return _told("".join(shown.format()))


def place_in(stack: traceback.StackSummary) -> str:
    """The same of code that runs."""
    own = [frame for frame in stack if _is_users(frame)]
    return _told("".join(traceback.format_list(own[-4:])))


def _told(text: str) -> str:
    """The lines of a traceback, indented, from a new line on."""
    lines = text.splitlines()
    lines = lines if len(lines) <= SHOWN else [*lines[:4], "...", *lines[-SHOWN:]]
    return "".join(f"\n    {line}" for line in lines)


def _trim(told: traceback.TracebackException) -> None:
    own = [frame for frame in told.stack if _is_users(frame)]
    if own:
        told.stack[:] = own
    for other in (told.__cause__, told.__context__, *(told.exceptions or ())):
        if other is not None:
            _trim(other)


def _is_users(frame: traceback.FrameSummary) -> bool:
    return not frame.filename.startswith(_FOREIGN)
