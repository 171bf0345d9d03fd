"""Every exception a user can meet. All derive from WorkflowError.

Where Python has a built-in name for the mistake (ValueError, LookupError, TypeError), the exception is one
of those too, so that a caller need not know ours.
"""

from collections.abc import Mapping


class WorkflowError(Exception):
    """The base of everything this library raises on purpose."""


class ConfigError(WorkflowError, ValueError):
    """A setting, a registration or a missing store: the program must be changed."""


class OptionError(WorkflowError, ValueError):
    """An argument (an id, a kind, a step option, a name) that breaks its rule."""


class InputError(WorkflowError, ValueError):
    """The input of a run or step is not JSON, too large, or does not fit its type."""


class GraphError(WorkflowError, ValueError):
    """Steps that form no graph: a duplicate id, an unknown dependency, a cycle, or no step at all."""


class PayloadError(WorkflowError, ValueError):
    """A value without a JSON form, or JSON text that does not fit a type; the message has the path."""


class OutputError(PayloadError):
    """What an executor produced cannot be stored. code: "invalid_output" or "payload_too_large"."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class DependencyError(WorkflowError, LookupError):
    """A dependency's result is not there, or does not fit the type that was asked for."""


class PackageNotFoundError(WorkflowError, LookupError):
    """No package of that name is registered with this runtime."""


class RunNotFoundError(WorkflowError, LookupError):
    """The store has no run of that id."""


class StepNotFoundError(WorkflowError, LookupError):
    """The run has no step of that id."""


class ArtifactNotFoundError(WorkflowError, LookupError):
    """No artifact of that id, or none with those exact bytes."""


class RunExistsError(WorkflowError):
    """A run of that id is already stored."""


class RunStateError(WorkflowError):
    """The run is in a state that does not allow the operation."""


class StepStateError(WorkflowError):
    """The step is in a state that does not allow the operation."""


class StoreError(WorkflowError):
    """The database file cannot be used, or a store refused what it was given."""


class StoreUnavailableError(StoreError):
    """The store cannot be written right now (locked, disk full); trying again later may succeed."""


class StoreLostError(StoreError):
    """The database was deleted, replaced or damaged under the runtime, or is newer than it: it must end."""


class RuntimeClosedError(WorkflowError):
    """The runtime was used after its block had ended, or ended while the call was waiting."""


class RuntimeCrashedError(WorkflowError):
    """The engine cannot go on; the cause says why."""


class StepFailure(WorkflowError):  # noqa: N818 - the public name; its two kinds are no errors of the program
    """What an executor raises to say how its step failed.

    code: a short word for programs. cause: an exception or a text for people; left out, the exception given
    by ``raise ... from``. details: JSON for both. Raise one of the two subclasses.
    """

    retryable: bool = False
    delay: float | None = None

    def __init__(
        self,
        code: str,
        cause: BaseException | str | None = None,
        *,
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(code, cause)
        self.code = code
        self.cause = cause
        self.details = details

    def __str__(self) -> str:
        return self.code if self.cause is None else f"{self.code}: {self.cause}"


class Retryable(StepFailure):
    """The attempt failed and another may succeed. delay: seconds until then, in place of the backoff."""

    retryable = True

    def __init__(
        self,
        code: str,
        cause: BaseException | str | None = None,
        *,
        details: Mapping[str, object] | None = None,
        delay: float | None = None,
    ) -> None:
        super().__init__(code, cause, details=details)
        is_number = isinstance(delay, int | float) and not isinstance(delay, bool)
        if delay is not None and not (is_number and 0 <= delay < float("inf")):
            raise OptionError(f"Retryable delay must be a finite number of seconds >= 0, not {delay!r}")
        self.delay = delay


class Permanent(StepFailure):
    """The step failed for good; trying again would not help."""
