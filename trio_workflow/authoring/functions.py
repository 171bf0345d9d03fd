"""A user's function as the engine calls it: whether it is async, and what type its input has."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import attrs

from trio_workflow.errors import ConfigError
from trio_workflow.model.payload import check_type, type_name

NOTHING = inspect.Parameter.empty


@attrs.define(eq=False)
class Function:
    """input_type: of the second parameter; Any without an annotation, None if there is no such parameter."""

    call: Callable[..., Any]
    what: str  # names the function in messages
    is_async: bool
    takes_input: bool
    _annotation: Any
    _checked: bool = False

    @property
    def input_type(self) -> Any:
        if isinstance(self._annotation, str):
            self._annotation = _evaluate(self._annotation, self.call, {}, self.what)
        return self._annotation

    def check(self) -> None:
        """Raise ConfigError if the input type cannot be structured."""
        if self._checked or not self.takes_input:
            return
        try:
            check_type(self.input_type)
        except ConfigError as error:
            raise ConfigError(
                f"{self.what} cannot take {type_name(self.input_type)} as input: {error}"
            ) from error
        self._checked = True


def inspect_caller() -> dict[str, Any]:
    """The local names where a decorator of ours was called: a quoted annotation may use them."""
    frame = inspect.currentframe()
    caller = frame.f_back.f_back if frame is not None and frame.f_back is not None else None
    return {} if caller is None else caller.f_locals


def inspect_function(
    call: Callable[..., Any], what: str, input_type: Any, names: Mapping[str, Any]
) -> Function:
    """Read a function's signature. names: local names that a quoted annotation may use."""
    if not callable(call):
        raise ConfigError(f"{what} must be a function, not {call!r}")
    parameters = _positional(call, what)
    takes_input = len(parameters) > 1
    if input_type is NOTHING:
        input_type = parameters[1].annotation if takes_input else None
    if input_type is NOTHING:
        input_type = Any
    function = Function(call, what, _is_async(call), takes_input, input_type)
    if isinstance(input_type, str):
        function = attrs.evolve(function, annotation=_try(input_type, call, names, what))
    return function


def _positional(call: Callable[..., Any], what: str) -> list[inspect.Parameter]:
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{what} has no readable signature: {error}") from error
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    positional = [parameter for parameter in parameters if parameter.kind in kinds]
    required = [p for p in positional[2:] if p.default is NOTHING]
    required += [p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is NOTHING]
    if not positional or required:
        raise ConfigError(
            f"{what} must take its context and, if it wants one, an input: nothing else is passed"
        )
    return positional


def _is_async(call: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004 - an object whose __call__ is async def


def _try(annotation: str, call: Callable[..., Any], names: Mapping[str, Any], what: str) -> Any:
    """A quoted annotation may name a class that is defined later: then it is read at registration."""
    try:
        return _evaluate(annotation, call, names, what)
    except ConfigError:
        return annotation


def _evaluate(annotation: str, call: Callable[..., Any], names: Mapping[str, Any], what: str) -> Any:
    function = inspect.unwrap(call)
    known: dict[str, Any] = dict(getattr(function, "__globals__", {}))
    try:
        return eval(annotation, known, dict(names))
    except Exception as error:
        raise ConfigError(
            f"{what}: the annotation {annotation!r} of its input cannot be read ({error}); pass input_type="
        ) from error
