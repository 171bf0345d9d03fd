"""Whether a verb that refused had a reason to, and one that did not refuse had none."""

from collections.abc import Iterable, Mapping
from typing import Any

from trio_workflow.errors import (
    RunExistsError,
    RunNotFoundError,
    RunStateError,
    StepNotFoundError,
    StepStateError,
)
from trio_workflow.model.plan import RunSpec
from trio_workflow.testing.simulation.expected.runs import FAILED, ExpectedRun

REFUSALS = (
    RunExistsError,
    RunNotFoundError,
    RunStateError,
    StepNotFoundError,
    StepStateError,
)
"""With what a verb may be refused for what runs and steps are."""

_ABOUT_A_RUN = ("cancel_run", "retry_run", "retry_step", "delete_run")


def expected_refusals(
    runs: Mapping[str, ExpectedRun], verb: str, asked: Mapping[str, Any]
) -> tuple[type[Exception], ...] | None:
    """With which of these the verb must be refused; None if it must not be."""
    if verb == "create_runs":
        return _of_a_start(runs, asked["specs"], asked["if_exists"])
    if verb not in _ABOUT_A_RUN:
        return None
    run = runs.get(asked["run_id"])
    if run is None:
        return (RunNotFoundError,)
    if verb == "delete_run":
        return (RunStateError,) if run.finished_at is None else None
    if verb == "cancel_run":
        return None
    if run.is_canceled:
        return (RunStateError,)
    return _of_a_step(run, asked["step_id"]) if verb == "retry_step" else None


def _of_a_step(run: ExpectedRun, step_id: str) -> tuple[type[Exception], ...] | None:
    step = run.steps.get(step_id)
    if step is None:
        return (StepNotFoundError,)
    return None if step.status is FAILED else (StepStateError,)


def _of_a_start(
    runs: Mapping[str, ExpectedRun], specs: Iterable[RunSpec], if_exists: str
) -> tuple[type[Exception], ...] | None:
    first: dict[str, RunSpec] = {}
    for spec in specs:
        there = runs[spec.id].spec if spec.id in runs else first.get(spec.id)
        is_other = there is not None and (there.package, there.input) != (spec.package, spec.input)
        if is_other or (there is not None and if_exists == "raise"):
            return (RunExistsError,)
        first.setdefault(spec.id, spec)
    return None


def is_as_promised(expected: tuple[type[Exception], ...] | None, refusal: BaseException | None) -> bool:
    return refusal is None if expected is None else isinstance(refusal, expected)
