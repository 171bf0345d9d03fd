"""What an entrypoint works with, and the run it makes of it."""

from collections.abc import Mapping
from typing import Any, Unpack

import attrs

from trio_workflow.authoring.options import StepHandle, StepOpts, make_spec, numbered, storable, texts
from trio_workflow.authoring.package import Package
from trio_workflow.errors import GraphError, InputError, PayloadError, WorkflowError
from trio_workflow.model.payload import dumps, loads, type_name
from trio_workflow.model.plan import RunSpec, StepSpec
from trio_workflow.model.policy import RetryPolicy


@attrs.frozen
class Limits:
    """What a runtime lays down for every run: the policy of steps that name none, bytes of one payload."""

    retry: RetryPolicy = attrs.field(factory=RetryPolicy)
    max_payload: int = 16 * 1024**2


def input_text(value: object, what: str, max_payload: int) -> str:
    """An input as JSON text. Raises InputError naming `what`."""
    try:
        text = dumps(value)
    except PayloadError as error:
        raise InputError(f"{what} cannot be stored: {error}") from error
    if len(text) > max_payload or (not text.isascii() and len(text.encode()) > max_payload):
        raise InputError(
            f"{what} has {len(text.encode())} bytes, more than max_payload ({max_payload}): put it into an "
            "artifact or a file, and pass its name"
        )
    return text


class RunBuilder:
    """Describes one run. Usable until its entrypoint returns."""

    def __init__(self, run_id: str, package: Package, limits: Limits) -> None:
        self.id = run_id
        self.package = package.name
        self._limits = limits
        self._name: str | None = None
        self._metadata: dict[str, str] = {}
        self._specs: list[StepSpec] = []
        self._ids: set[str] = set()
        self._is_open = True

    def __repr__(self) -> str:
        return f"<RunBuilder {self.id!r} steps={len(self._specs)}>"

    def name(self, text: str) -> None:
        """Name the run, for people."""
        self._check_open()
        self._name = storable("run name", text)

    def metadata(self, key: str, value: str) -> None:
        """Set one metadata entry; runs can be listed by it."""
        self._check_open()
        self._metadata.update(texts("run metadata", {key: value}))

    def step(self, id: str = "", input: object = None, **opts: Unpack[StepOpts]) -> StepHandle:
        """Add a step. An empty id gets a stable one. Raises ValueError for a bad option or input."""
        self._check_open()
        step_id = id or self._next_id()
        text = input_text(input, f'the input of step "{step_id}"', self._limits.max_payload)
        spec = make_spec(
            step_id,
            text,
            opts,
            kind_error="workflow step kind is required",
            package=self.package,
            retry=self._limits.retry,
            parent=None,
        )
        self._specs.append(spec)
        self._ids.add(step_id)
        return StepHandle(step_id)

    def _next_id(self) -> str:
        number = len(self._specs) + 1
        while (step_id := numbered("step", number)) in self._ids:
            number += 1
        return step_id

    def _check_open(self) -> None:
        if not self._is_open:
            raise WorkflowError(
                f'the RunBuilder of run "{self.id}" was used after its entrypoint had returned'
            )

    def finish(self, text: str, name: str | None, metadata: Mapping[str, str], fallback: str) -> RunSpec:
        """The run that was described. Raises GraphError if it has no step."""
        self._is_open = False
        if not self._specs:
            raise GraphError(f'workflow package "{self.package}" entrypoint produced no initial steps')
        return RunSpec(
            id=self.id,
            package=self.package,
            name=self._name if self._name is not None else (name or fallback),
            input=text,
            metadata={**metadata, **self._metadata},
            steps=tuple(self._specs),
        )

    def abandon(self) -> None:
        self._is_open = False


async def plan_run(
    package: Package,
    input: object,
    *,
    run_id: str,
    name: str | None = None,
    metadata: Mapping[str, str] | None = None,
    limits: Limits,
) -> RunSpec:
    """Call a package's entrypoint; answers the run it describes. Raises what the entrypoint raises."""
    start = package.start
    assert start is not None  # registration refuses a package without an entrypoint
    text = input_text(input, f'the input of workflow package "{package.name}"', limits.max_payload)
    extra = texts("run metadata", metadata or {})
    args = (_typed_input(package, text, start.input_type),) if start.takes_input else ()
    builder = RunBuilder(run_id, package, limits)
    try:
        answer: Any = start.call(builder, *args)
        if start.is_async:
            await answer
    finally:
        builder.abandon()
    given = None if name is None else storable("run name", name)
    return builder.finish(text, given, extra, package.display_name or package.name)


def _typed_input(package: Package, text: str, input_type: Any) -> Any:
    try:
        return loads(text, input_type)
    except PayloadError as error:
        raise InputError(
            f'the input of workflow package "{package.name}" does not fit {type_name(input_type)}: {error}'
        ) from error
