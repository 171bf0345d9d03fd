"""Calling an executor: on the event loop if it is async, else in a thread."""

import inspect
import math
from typing import Any

import trio

from trio_workflow.authoring.executor import Executor
from trio_workflow.authoring.step_context import StepContext
from trio_workflow.errors import OutputError, StepFailure
from trio_workflow.model.payload import loads
from trio_workflow.runtime.autojump import held_while_in_thread

_THREADS = trio.CapacityLimiter(math.inf)  # slots are bounded before an attempt begins


class InvalidInput(StepFailure):
    """The stored input does not fit the executor's type: permanent."""


async def call(executor: Executor[..., Any], context: StepContext) -> None:
    """Run the executor; what it returns, if not None, is the step's result. Raises what it raises."""
    function = executor.wraps
    args = (_input(context, function.input_type),) if function.takes_input else ()
    if function.is_async:
        value = await _interruptible(function.call, context, *args)
    else:
        value = await _in_thread(function.call, context, *args)
    if value is None:
        return
    if inspect.iscoroutine(value):
        value.close()
        raise OutputError(
            "invalid_output",
            "the executor returned a coroutine that nobody awaited: await it (a `def` executor does that "
            "with trio.from_thread.run)",
        )
    context.result(value)


def _input(context: StepContext, input_type: Any) -> Any:
    try:
        return loads(context.raw_input, input_type)
    except Exception as error:
        raise InvalidInput("invalid_input", error) from error


@trio.lowlevel.disable_ki_protection
async def _interruptible(function: Any, *args: Any) -> Any:
    """User code may be interrupted anywhere; what is around it may not."""
    return await function(*args)


async def _in_thread(function: Any, *args: Any) -> Any:
    """Not abandoned on cancel: the lease is kept until the thread has returned."""
    with held_while_in_thread():
        [value] = await trio.to_thread.run_sync(_boxed, function, *args, limiter=_THREADS)
        return value


def _boxed(function: Any, *args: Any) -> tuple[Any]:
    """In a box trio lets a coroutine pass: `call` says better what is wrong with it."""
    return (function(*args),)
