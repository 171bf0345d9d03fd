"""What user code raised, as a failure that can always be stored."""

import traceback
from collections.abc import Iterator
from typing import Any

from trio_workflow.errors import OutputError, StepFailure
from trio_workflow.model.outcome import Failure
from trio_workflow.model.payload import clean_details, clean_text

MESSAGE_LENGTH = 4000
TRACEBACK_LENGTH = 16_000


def failure_of(error: BaseException) -> Failure:
    """The failure to store, whatever was raised; user exceptions may break even the look at them."""
    try:
        return _told(error)
    except Exception as broken:
        name, why = type(error).__name__, type(broken).__name__
        return Failure(code="executor_error", message=clean_text(f"{name} (looking at it raised {why})"))


def _told(error: BaseException) -> Failure:
    """In a group the step failures decide: one permanent makes it permanent, else the first, with the longest
    delay. Without any, an error of ours about the output decides, else it is an executor error."""
    leaves = list(leaves_of(error))
    chosen = [leaf for leaf in leaves if isinstance(leaf, StepFailure)]
    if chosen:
        return _of_step_failures(error, chosen)
    for leaf in leaves:
        if isinstance(leaf, OutputError):
            return _failure(leaf.code, str(leaf), error)
    return _failure("executor_error", describe(error), error)


def timeout_failure(seconds: float) -> Failure:
    return Failure(
        code="timeout", message=f"the attempt took longer than {seconds:g} seconds", retryable=True
    )


def leaves_of(error: BaseException) -> Iterator[BaseException]:
    """Without recursion: groups may be nested as deep as user code likes."""
    stack = [error]
    while stack:
        found = stack.pop()
        if is_a(found, BaseExceptionGroup):
            stack.extend(reversed(_EXCEPTIONS.__get__(found)))
        else:
            yield found


_EXCEPTIONS: Any = BaseExceptionGroup.exceptions  # the base class's own, whatever a subclass makes of it


def is_a(error: BaseException, *kinds: type[BaseException]) -> bool:
    """By its type: isinstance asks the object's own __class__, which user code may have broken."""
    return issubclass(type(error), kinds)


def _of_step_failures(error: BaseException, chosen: list[StepFailure]) -> Failure:
    first = next((leaf for leaf in chosen if not leaf.retryable), chosen[0])
    delays = [leaf.delay for leaf in chosen if leaf.delay is not None]
    cause = first.cause if first.cause is not None else first.__cause__
    return Failure(
        code=clean_text(first.code, 255),
        message=_cause_text(cause) or clean_text(first.code, 255),
        retryable=first.retryable,
        details=clean_details(first.details),
        traceback=_traceback(error),
        delay=max(delays, default=None) if first.retryable else None,
    )


def _cause_text(cause: BaseException | str | None) -> str:
    if cause is None:
        return ""
    return describe(cause) if isinstance(cause, BaseException) else clean_text(cause, MESSAGE_LENGTH)


def describe(error: BaseException) -> str:
    """The type and text of an error, clean and cut."""
    text = clean_text(error, MESSAGE_LENGTH)
    name = type(error).__name__
    return clean_text(f"{name}: {text}" if text else name, MESSAGE_LENGTH)


def _failure(code: str, message: str, error: BaseException) -> Failure:
    return Failure(code=code, message=clean_text(message, MESSAGE_LENGTH), traceback=_traceback(error))


def _traceback(error: BaseException) -> str:
    """Its end, since that says where; user exceptions may break even the printing of theirs."""
    try:
        text = "".join(traceback.format_exception(error))
    except Exception as broken:
        text = f"(no traceback: formatting it raised {type(broken).__name__})"
    return clean_text(text[-TRACEBACK_LENGTH:], TRACEBACK_LENGTH)
