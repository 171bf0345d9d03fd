"""Executors: the functions that run single steps."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, ParamSpec, TypeVar

from trio_workflow.authoring.functions import NOTHING, Function, inspect_caller, inspect_function
from trio_workflow.errors import ConfigError
from trio_workflow.model.payload import require_name

P = ParamSpec("P")
R = TypeVar("R")


class Executor(Generic[P, R]):
    """The function for one kind of step. Callable as the function it wraps."""

    def __init__(
        self, kind: str, function: Callable[P, R], input_type: Any, names: Mapping[str, Any]
    ) -> None:
        self.kind = require_name("executor kind", kind)
        self.wraps: Function = inspect_function(function, f'executor "{kind}"', input_type, names)
        self._call = function
        self.__doc__ = function.__doc__
        self.__name__ = getattr(function, "__name__", kind)

    @property
    def input_type(self) -> Any:
        """The type the input is structured as; Any: plain JSON values; None: no input is passed."""
        return self.wraps.input_type

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self._call(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Executor {self.kind!r} {self.__name__}>"


def check_kind(kind: object) -> None:
    """Raise ConfigError for a decorator that was written without its kind."""
    if callable(kind):
        raise ConfigError(f'executor needs the kind of its steps: write executor("KIND") above {kind!r}')


def executor(kind: str, *, input_type: Any = NOTHING) -> Callable[[Callable[P, R]], Executor[P, R]]:
    """Make a function the executor for steps of this kind.

    It is called with a StepContext and, if it has a second parameter, the input structured as that one's
    annotation (or as input_type). ``async def`` runs on the event loop, ``def`` in a thread. What it returns,
    if not None, is the step's result. Raises ValueError for a bad kind, ConfigError for a bad signature.
    """
    check_kind(kind)
    names = inspect_caller()

    def decorate(function: Callable[P, R]) -> Executor[P, R]:
        return Executor(kind, function, input_type, names)

    return decorate
