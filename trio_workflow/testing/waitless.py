"""Running async code that must not wait, from anywhere."""

import contextvars
import threading
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

import outcome
import trio

from trio_workflow.errors import WorkflowError

T = TypeVar("T")


def without_waiting(coroutine: Coroutine[Any, Any, T], what: str) -> T:
    """The coroutine's answer, or what it raises; WorkflowError if it waits for anything, be it a checkpoint.

    It gets a trio run of its own, in a thread if the caller is in one, so that what it tries to wait for is
    cancelled and cleaned up as trio does it.
    """
    watched = _Watched(coroutine)

    async def main() -> list[T]:
        with watched.scope:
            return [await watched]
        return []

    try:
        answers = _run_apart(main)
    except Exception as error:
        if watched.waits:
            raise WorkflowError(f"{what} waits: it may only describe the graph") from error
        raise
    if watched.waits:
        raise WorkflowError(f"{what} waits: it may only describe the graph")
    return answers[0]


def _run_apart(main: Callable[[], Awaitable[T]]) -> T:
    if not trio.lowlevel.in_trio_run():
        return trio.run(main)
    context = contextvars.copy_context()
    answers: list[outcome.Outcome[T]] = []
    thread = threading.Thread(
        target=lambda: answers.append(outcome.capture(lambda: context.run(trio.run, main)))
    )
    thread.start()
    thread.join()
    return answers[0].unwrap()


class _Watched(Generic[T]):
    """Awaits a coroutine and cancels it where it first gives up control."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self.scope = trio.CancelScope()
        self.waits = False

    def __await__(self) -> Generator[Any, Any, T]:
        step, value = self._coroutine.send, None
        while True:
            try:
                message = step(value)
            except StopIteration as done:
                answer: T = done.value
                return answer
            self.waits = True
            self.scope.cancel()
            step, value = self._coroutine.send, (yield message)
