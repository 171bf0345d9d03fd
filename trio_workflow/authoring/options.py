"""The options of a step, checked: the same for RunBuilder.step and StepContext.emit."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypedDict, TypeVar

import attrs

from trio_workflow.errors import OptionError
from trio_workflow.model.payload import require_name
from trio_workflow.model.plan import Dependency, StepSpec
from trio_workflow.model.policy import LONGEST, RetryPolicy

T = TypeVar("T")
LONGEST_NAME = 255


@attrs.frozen
class StepHandle:
    """A step that was asked for; pass it to depends_on, require or optional."""

    id: str


DependsOn = str | StepHandle | Dependency
DependsOnMany = DependsOn | Iterable["DependsOn | Iterable[DependsOn]"]


class StepOpts(TypedDict, total=False):
    """Options of a step; what each means stands in the README. Durations are seconds."""

    kind: str
    queue: str
    depends_on: DependsOnMany
    dedup_key: str
    retry: RetryPolicy
    timeout: float | None
    delay: float
    priority: int
    allow_failure: bool
    metadata: Mapping[str, str]
    package: str
    parent_id: str | None


def require(*steps: DependsOnMany) -> list[Dependency]:
    """Dependencies that must succeed."""
    return [Dependency(_step_id(step), True) for step in _flat(steps)]


def optional(*steps: DependsOnMany) -> list[Dependency]:
    """Dependencies that only have to end, however they do."""
    return [Dependency(_step_id(step), False) for step in _flat(steps)]


def _flat(steps: Any) -> list[DependsOn]:
    """Users nest lists of lists: require(a) + optional(b), require([a, b]), and one step alone."""
    if isinstance(steps, str | StepHandle | Dependency):
        return [steps]
    try:
        found: list[Any] = list(steps)
    except TypeError:
        raise OptionError(f"depends_on takes step handles, ids and dependencies, not {steps!r}") from None
    return [flat for step in found for flat in _flat(step)]


def _step_id(step: DependsOn) -> str:
    if isinstance(step, StepHandle):
        return step.id
    return require_name("dependency id", step.step_id if isinstance(step, Dependency) else step)


def _dependencies(depends_on: Any) -> tuple[Dependency, ...]:
    if not depends_on:
        return ()
    return tuple(
        step if isinstance(step, Dependency) else Dependency(_step_id(step)) for step in _flat(depends_on)
    )


def make_spec(
    step_id: str,
    text: str,
    opts: StepOpts,
    *,
    kind_error: str,
    package: str,
    retry: RetryPolicy,
    parent: str | None,
) -> StepSpec:
    """The step these options describe. Raises ValueError naming the option, TypeError for an unknown one."""
    given: dict[str, Any] = dict(opts)
    kind = given.pop("kind", "")
    if kind is None or kind == "":
        raise OptionError(kind_error)
    priority = given.pop("priority", 0)
    if not isinstance(priority, int) or isinstance(priority, bool) or not -9 <= priority <= 9:
        raise OptionError(f"step priority must be a whole number from -9 to 9, not {priority!r}")
    spec = StepSpec(
        id=require_name("step id", step_id),
        kind=require_name("step kind", kind),
        package=require_name("step package", given.pop("package", None) or package),
        retry=_instance("retry", given.pop("retry", None) or retry, RetryPolicy),
        input=text,
        queue=require_name("step queue", given.pop("queue", "default")),
        depends_on=_dependencies(given.pop("depends_on", ())),
        dedup_key=_optional_name("step dedup_key", given.pop("dedup_key", "")) or "",
        timeout=_timeout(given.pop("timeout", None)),
        delay=_seconds("delay", given.pop("delay", 0.0)),
        priority=priority,
        allow_failure=_instance("allow_failure", given.pop("allow_failure", False), bool),
        metadata=texts("step metadata", given.pop("metadata", None) or {}),
        parent_id=_optional_name("step parent_id", given.pop("parent_id", parent)),
    )
    if given:
        raise TypeError(f"unknown step option {sorted(given)[0]!r}")
    return spec


def _instance(option: str, value: Any, wanted: type[T]) -> T:
    if not isinstance(value, wanted):
        raise OptionError(f"step {option} must be a {wanted.__name__}, not {value!r}")
    return value


def _optional_name(what: str, value: Any) -> str | None:
    return None if value is None or value == "" else require_name(what, value)


def _seconds(option: str, value: Any) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
    if not number or not 0 <= value <= LONGEST:
        raise OptionError(f"step {option} must be a number of seconds from 0 to {LONGEST:g}, not {value!r}")
    return float(value)


def _timeout(value: Any) -> float | None:
    if value is None or value == math.inf:
        return None
    if _seconds("timeout", value) <= 0:
        raise OptionError(f"step timeout must be more than 0 seconds, not {value!r}")
    return float(value)


def texts(what: str, values: Mapping[str, str]) -> dict[str, str]:
    """A mapping of text to text that can be stored. Raises ValueError."""
    if not isinstance(values, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - users may pass anything
        raise OptionError(f"{what} must be a mapping of str to str, not {values!r}")
    return {storable(f"a key of {what}", k): storable(f"{what} {k!r}", v) for k, v in values.items()}


def storable(what: str, text: Any) -> str:
    """A str that can be stored as UTF-8. Raises ValueError."""
    try:
        if isinstance(text, str):
            text.encode()
            return text
    except UnicodeEncodeError:
        raise OptionError(f"{what} must be encodable as UTF-8, not {text!r}") from None
    raise OptionError(f"{what} must be a str, not {text!r}")


def numbered(prefix: str, number: int) -> str:
    """`prefix:007`; a prefix too long for a name is shortened and told apart by a digest of the whole."""
    tail = f":{number:03d}"
    if len(prefix) + len(tail) <= LONGEST_NAME:
        return prefix + tail
    digest = hashlib.sha256(prefix.encode()).hexdigest()[:16]
    return f"{prefix[: LONGEST_NAME - len(tail) - 17]}~{digest}{tail}"
