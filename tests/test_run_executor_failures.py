"""run_executor: what user code does wrong ends as it would in production."""

import threading
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from trio_workflow import (
    ConfigError,
    InputError,
    Package,
    Permanent,
    Retryable,
    RetryPolicy,
    StepContext,
    executor,
)
from trio_workflow.testing import Outcome, open_test_runtime, run_executor


def failing(step: StepContext, what: str) -> Any:
    match what:
        case "retryable":
            raise Retryable("busy", "later", details={"n": 1}, delay=9)
        case "permanent":
            raise Permanent("gone")
        case "bug":
            raise KeyError("k")
        case "output":
            return {1: 2}
        case "large":
            return "x" * 1000
        case "dependency":
            trio.from_thread.run(step.dependency_result, "other")
        case "store":
            trio.from_thread.run(step.store_artifact, "n", "text/plain", b"")
        case "graph":
            step.emit("a", kind="k")
            step.emit("a", kind="k")
        case "exists":
            step.emit(step.id, kind="k")
        case _:
            return threading.current_thread() is threading.main_thread()
    return None


PRODUCTION = ["retryable", "permanent", "bug", "output", "large", "dependency", "graph", "exists", "fine", 5]


@pytest.mark.parametrize("what", PRODUCTION)
async def test_it_ends_as_it_would_in_production(autojump_clock: MockClock, what: object) -> None:
    made = Package("p", entrypoint=lambda run: run.step("test-step", what, kind="failing"))
    work = made.executor("failing")(failing)
    outcome = await run_executor(work, what, max_payload=500, run_id="r", package="p")
    async with open_test_runtime(max_payload=500, default_retry=RetryPolicy(max_attempts=2)) as rt:
        rt.register_package(made)
        await rt.start_run("p", run_id="r")
        await rt.run_once()
        result = await rt.result("r", "test-step")
        assert result is not None
        [attempt] = result.attempts
    assert outcome.status == attempt.outcome
    assert outcome.data == result.data
    assert _known(outcome.error) == _known(attempt.error)


def _known(error: Any) -> Any:
    return None if error is None else (error.code, error.message, error.retryable, error.details)


async def test_without_stores_it_fails_as_a_runtime_without_them() -> None:
    outcome = await run_executor(executor("k")(failing), "store")
    assert outcome.error is not None
    assert outcome.error.message == "ConfigError: artifact store is not configured"


async def test_a_failed_dependency_is_given_as_what_it_raised() -> None:
    @executor("k")
    async def reads(step: StepContext) -> list[object]:
        result = await step.dependency_result("d")
        assert result.error is not None
        return [result.data, result.error.code, result.error.message, result.error.retryable]

    outcome = await run_executor(reads, dependencies={"d": Permanent("bad_scan", "page 3")})
    assert outcome.value() == [None, "bad_scan", "page 3", False]
    outcome = await run_executor(reads, dependencies={"d": Retryable("busy")})
    assert outcome.value() == [None, "busy", "busy", True]


async def test_mistakes_of_the_test_are_raised() -> None:
    work = executor("k")(failing)
    with pytest.raises(InputError, match="the input cannot be stored"):
        await run_executor(work, object())
    with pytest.raises(InputError, match='dependency "d"'):
        await run_executor(work, "fine", dependencies={"d": object()})
    with pytest.raises(InputError, match="checkpoint"):
        await run_executor(work, "fine", saved=object())
    with pytest.raises(ConfigError, match="run_executor takes"):
        await run_executor(failing, "fine")  # type: ignore[arg-type]  # wrong on purpose
    wrong: dict[str, Any]
    for wrong in ({"attempt": 0}, {"step_id": ""}, {"run_id": "\n"}, {"timeout": -1}):
        with pytest.raises(ValueError, match="must"):
            await run_executor(work, "fine", **wrong)
    assert isinstance(await run_executor(work, "fine"), Outcome)
