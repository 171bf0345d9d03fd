"""What is to be stored of runs and steps as they were asked for, without the code that takes options."""

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from trio_workflow.model.payload import dumps
from trio_workflow.model.plan import Dependency, StepSpec

Needs = Iterable[tuple[str, bool]]
"""Ids of dependencies, with whether each is required."""


@attrs.define
class AskedRun:
    """What a start and its entrypoint asked for."""

    metadata: Mapping[str, str]
    steps: list[StepSpec] = attrs.field(factory=list[StepSpec])


def as_asked(step_id: str, given: object, needs: Needs, options: Mapping[str, Any], **usual: Any) -> StepSpec:
    """usual: what stands where the options say nothing."""
    depends_on = tuple(Dependency(needed, required) for needed, required in needs)
    return StepSpec(id=step_id, input=dumps(given), depends_on=depends_on, **usual | dict(options))
