"""The settings of a runtime."""

import math
from collections.abc import Mapping
from typing import Any

import attrs

from trio_workflow.artifacts import ArtifactStore
from trio_workflow.errors import ConfigError, OptionError
from trio_workflow.model.payload import require_name
from trio_workflow.model.policy import LONGEST, QueueConfig, RetryPolicy, number, whole
from trio_workflow.projections import ProjectionStore
from trio_workflow.store import StoreConfig


def _instance(wanted: type) -> Any:
    def check(instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if not isinstance(value, wanted):
            raise ConfigError(f"Config.{attribute.name} must be a {wanted.__name__}, not {value!r}")

    return check


def _methods(*names: str) -> Any:
    """A store one can replace is known by its methods."""

    def check(instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        if value is not None and not all(callable(getattr(value, name, None)) for name in names):
            raise ConfigError(
                f"Config.{attribute.name} must have the methods {', '.join(names)}; {value!r} has not"
            )

    return check


def _store(instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is None:
        raise ConfigError("workflow runtime store is required")
    if not callable(getattr(value, "open", None)):
        raise ConfigError(f"Config.store must be a store such as SQLiteStore(path), not {value!r}")


def _name(what: str, value: object) -> None:
    try:
        require_name(what, value)
    except OptionError as error:
        raise ConfigError(str(error)) from None


def _worker_id(instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    _name("Config.worker_id", value)


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _queues(instance: object, attribute: "attrs.Attribute[Any]", value: Any) -> None:
    if not _is_mapping(value):
        raise ConfigError(f"Config.queues must be a mapping of names to QueueConfig, not {value!r}")
    for queue, config in value.items():
        _name("a name in Config.queues", queue)
        if not isinstance(config, QueueConfig):
            raise ConfigError(f"Config.queues[{queue!r}] must be a QueueConfig, not {config!r}")


@attrs.frozen(kw_only=True)
class Config:
    """What `open_runtime` needs to know. Durations are seconds. A bad value raises ConfigError naming it."""

    store: StoreConfig = attrs.field(default=None, validator=_store)
    artifact_store: ArtifactStore | None = attrs.field(
        default=None, validator=_methods("put", "open", "delete")
    )
    projection_store: ProjectionStore | None = attrs.field(default=None, validator=_methods("projection"))
    worker_id: str = attrs.field(default="workflow-runtime", validator=_worker_id)
    max_workers: int = attrs.field(default=1, validator=whole(1))
    poll_interval: float = attrs.field(default=0.25, validator=number(above=0.0))
    lease_duration: float = attrs.field(default=30.0, validator=number(above=0.0, most=LONGEST))
    queues: Mapping[str, QueueConfig] = attrs.field(factory=dict[str, QueueConfig], validator=_queues)
    default_queue: QueueConfig = attrs.field(factory=QueueConfig, validator=_instance(QueueConfig))
    default_retry: RetryPolicy = attrs.field(factory=RetryPolicy, validator=_instance(RetryPolicy))
    max_lost_leases: int = attrs.field(default=3, validator=whole(1))
    shutdown_grace: float = attrs.field(default=0.0, validator=number(least=0.0))
    max_payload: int = attrs.field(default=16 * 1024**2, validator=whole(1))
    keep_finished: float | None = attrs.field(
        default=None, validator=attrs.validators.optional(number(least=0.0, most=LONGEST))
    )


def seconds(what: str, value: float) -> float:
    """A number of seconds given to a method. Raises ConfigError naming it."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)  # pyright: ignore[reportUnnecessaryIsInstance] - users may pass anything
    if not is_number or math.isnan(value) or value <= 0:
        raise ConfigError(f"{what} must be a number of seconds > 0, not {value!r}")
    return value
