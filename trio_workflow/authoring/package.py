"""Packages: an entrypoint that describes a graph, and the executors declared beside it."""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, overload

from trio_workflow.authoring.executor import Executor, check_kind
from trio_workflow.authoring.functions import NOTHING, Function, inspect_caller, inspect_function
from trio_workflow.errors import ConfigError

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])


class Package:
    """A kind of run. Its name is stored with every run; display_name is what people see.

    What is wrong with it is told when it is registered.
    """

    def __init__(
        self, name: str, *, display_name: str = "", entrypoint: Callable[..., Any] | None = None
    ) -> None:
        self.name = name
        self.display_name = display_name
        self.start: Function | None = None
        self.executors: dict[str, Executor[..., Any]] = {}
        if entrypoint is not None:
            self._set_entrypoint(entrypoint, NOTHING, inspect_caller())

    def __repr__(self) -> str:
        return f"<Package {self.name!r} executors={sorted(self.executors)}>"

    @overload
    def entrypoint(self, function: F, /) -> F: ...
    @overload
    def entrypoint(self, /, *, input_type: Any = ...) -> Callable[[F], F]: ...
    def entrypoint(self, function: Any = None, /, *, input_type: Any = NOTHING) -> Any:
        """Make a function the entrypoint: called with a RunBuilder and the run's input, it adds steps.

        It describes the graph and does no work. Its input is typed as an executor's is.
        """
        names = inspect_caller()

        def decorate(chosen: F) -> F:
            self._set_entrypoint(chosen, input_type, names)
            return chosen

        return decorate if function is None else decorate(function)

    def _set_entrypoint(self, function: Callable[..., Any], input_type: Any, names: dict[str, Any]) -> None:
        if self.start is not None:
            raise ConfigError(f'workflow package "{self.name}" already has an entrypoint')
        what = f'the entrypoint of workflow package "{self.name}"'
        self.start = inspect_function(function, what, input_type, names)

    def executor(self, kind: str, *, input_type: Any = NOTHING) -> Callable[[Callable[P, R]], Executor[P, R]]:
        """Declare an executor that is registered together with this package."""
        check_kind(kind)
        names = inspect_caller()

        def decorate(function: Callable[P, R]) -> Executor[P, R]:
            if kind in self.executors:
                raise ConfigError(f'executor kind "{kind}" is already registered')
            made = Executor(kind, function, input_type, names)
            self.executors[kind] = made
            return made

        return decorate
