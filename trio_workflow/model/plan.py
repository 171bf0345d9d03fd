"""What an entrypoint or an executor asks to be stored: runs and steps before they exist."""

from collections.abc import Mapping

import attrs

from trio_workflow.model.policy import RetryPolicy


@attrs.frozen
class Dependency:
    """Another step of the run; required: it must succeed, else it only has to end."""

    step_id: str
    required: bool = True


@attrs.frozen(kw_only=True)
class StepSpec:
    """One step as it was asked for. input: JSON text. timeout and delay: seconds."""

    id: str
    kind: str
    package: str
    retry: RetryPolicy
    input: str = "null"
    queue: str = "default"
    depends_on: tuple[Dependency, ...] = ()
    dedup_key: str = ""
    timeout: float | None = None
    delay: float = 0.0
    priority: int = 0
    allow_failure: bool = False
    metadata: Mapping[str, str] = attrs.field(factory=dict[str, str])
    parent_id: str | None = None


@attrs.frozen(kw_only=True)
class RunSpec:
    """One run as it was asked for, with the graph its entrypoint made. input: JSON text."""

    id: str
    package: str
    name: str
    input: str
    metadata: Mapping[str, str]
    steps: tuple[StepSpec, ...]
