"""plan: the graph an entrypoint makes, without a store."""

from collections.abc import Mapping
from typing import Any, TypeVar, overload

import attrs

from trio_workflow.authoring.package import Package
from trio_workflow.authoring.run_builder import Limits, plan_run
from trio_workflow.errors import ConfigError, StepNotFoundError
from trio_workflow.model.payload import loads, require_name
from trio_workflow.model.plan import Dependency, StepSpec
from trio_workflow.model.policy import RetryPolicy
from trio_workflow.rules.graph import resolve
from trio_workflow.runtime.registry import Registry
from trio_workflow.testing.waitless import without_waiting

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class PlannedStep:
    """A step as it would be stored. input: JSON text. timeout, delay: seconds. depends_on: on real ids."""

    id: str
    kind: str
    queue: str
    package: str
    input: str
    depends_on: tuple[Dependency, ...]
    dedup_key: str
    retry: RetryPolicy
    timeout: float | None
    delay: float
    priority: int
    allow_failure: bool
    metadata: Mapping[str, str]
    parent_id: str | None

    @overload
    def value(self) -> Any: ...
    @overload
    def value(self, type: type[T]) -> T: ...
    def value(self, type: Any = Any) -> Any:
        """The input structured as `type`. Raises PayloadError where it does not fit."""
        return loads(self.input, type)

    def __str__(self) -> str:
        after = [d.step_id if d.required else f"{d.step_id} (optional)" for d in self.depends_on]
        return f"{self.id}: {self.kind}" + (f" after {', '.join(after)}" if after else "")


@attrs.frozen(kw_only=True)
class Plan:
    """A run as it would be stored. input: JSON text. steps: in the order asked for, duplicates dropped.

    aliases: an id dropped for its dedup key -> the id it stands for. ``print(plan)`` shows the graph.
    """

    id: str
    package: str
    name: str
    input: str
    metadata: Mapping[str, str]
    steps: tuple[PlannedStep, ...]
    aliases: Mapping[str, str]

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the steps, in order."""
        return tuple(step.id for step in self.steps)

    def step(self, step_id: str) -> PlannedStep:
        """A step, by its id or one that stands for it. Raises StepNotFoundError (a LookupError)."""
        wanted = self.aliases.get(step_id, step_id)
        for step in self.steps:
            if step.id == wanted:
                return step
        raise StepNotFoundError(f'the plan has no step "{step_id}"; it has {", ".join(self.ids)}')

    def depends_on(self, step_id: str) -> tuple[str, ...]:
        """The ids of the steps that must have ended before it. Raises StepNotFoundError."""
        return tuple(dependency.step_id for dependency in self.step(step_id).depends_on)

    def dependents(self, step_id: str) -> tuple[str, ...]:
        """The ids of the steps that wait for it. Raises StepNotFoundError."""
        wanted = self.step(step_id).id
        return tuple(step.id for step in self.steps if any(d.step_id == wanted for d in step.depends_on))

    def __str__(self) -> str:
        return "\n".join([f"{self.package}: {self.name}", *(f"  {step}" for step in self.steps)])


def planned(spec: StepSpec) -> PlannedStep:
    """A step as a test sees it."""
    return PlannedStep(**attrs.asdict(spec, recurse=False))


def plan(
    package: Package,
    input: object = None,
    *,
    run_id: str | None = None,
    name: str | None = None,
    metadata: Mapping[str, str] | None = None,
    default_retry: RetryPolicy | None = None,
    max_payload: int = Limits().max_payload,
) -> Plan:
    """The graph that the package's entrypoint makes of this input. Nothing is stored or run.

    Not async, and callable inside and outside of trio: an entrypoint describes and does no work, so there is
    nothing to wait for. run_id: by default `PACKAGE-plan`. Raises what `register_package` and `start_run`
    raise (ConfigError, InputError, GraphError, ValueError, whatever the entrypoint raises), and WorkflowError
    if the entrypoint waits.
    """
    if not isinstance(package, Package):  # pyright: ignore[reportUnnecessaryIsInstance] - users may pass anything
        raise ConfigError(f"plan takes a Package, not {package!r}")
    Registry().add_package(package)
    coroutine = plan_run(
        package,
        input,
        run_id=require_name("run id", f"{package.name}-plan" if run_id is None else run_id),
        name=name,
        metadata=metadata,
        limits=Limits(default_retry or RetryPolicy(), max_payload),
    )
    spec = without_waiting(coroutine, f'the entrypoint of workflow package "{package.name}"')
    graph = resolve(spec.steps)
    return Plan(
        id=spec.id,
        package=spec.package,
        name=spec.name,
        input=spec.input,
        metadata=spec.metadata,
        steps=tuple(planned(step) for step in graph.steps),
        aliases=graph.aliases,
    )
