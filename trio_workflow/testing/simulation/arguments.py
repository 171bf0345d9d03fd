"""What users give to `simulate`, looked at before the first seed. Every mistake is a ConfigError."""

import inspect
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from typing import Any, cast

import attrs
import trio

from trio_workflow.authoring.package import Package
from trio_workflow.errors import ConfigError, InputError
from trio_workflow.runtime.registry import Registry
from trio_workflow.runtime.runs import StartRun
from trio_workflow.testing.plans import plan
from trio_workflow.testing.simulation.limits import Limits
from trio_workflow.testing.simulation.users import require_start
from trio_workflow.testing.simulation.world import OF_STUBS, Fault, World, draw_world

FIXED = (
    "processes",
    "runs",
    "duration",
    "lease",
    "poll",
    "max_workers",
    "max_lost",
    "grace",
    "queues",
    "default_queue",
)
"""The fields of a world that mean something for a package of a user's."""


def require_outside() -> None:
    if trio.lowlevel.in_trio_run():
        raise ConfigError(
            "simulate is a plain function that starts trio runs: call it from a plain test (def)"
        )


def require_package(package: object) -> None:
    """A package that can be registered, or a plain function."""
    if isinstance(package, Package):
        Registry().add_package(package)
    elif not callable(package):
        raise ConfigError(
            f"simulate takes a Package, or a function that registers what a runtime needs, not {package!r}"
        )
    elif inspect.iscoroutinefunction(package):
        raise ConfigError("the function that registers what a runtime needs must be a plain one (def)")


def require_call(what: str, function: object) -> None:
    if function is not None and not callable(function):
        raise ConfigError(f"{what} must be a function, not {function!r}")


def start_of(package: object, start: Any) -> Callable[[random.Random], StartRun]:
    """How runs are started. A start is tried once: what it raises is told with the first seed."""
    if start is None:
        return _start_without_input(package)
    require_call("start", start)
    try:
        asked = start(random.Random(0))
    except Exception:
        return cast("Callable[[random.Random], StartRun]", start)
    require_start(asked)
    return cast("Callable[[random.Random], StartRun]", start)


def _start_without_input(package: object) -> Callable[[random.Random], StartRun]:
    if not isinstance(package, Package):
        raise ConfigError("simulate needs start= to know which runs to start when it is given a function")
    try:
        plan(package)
    except InputError as error:
        raise ConfigError(
            f'simulate needs start= to make an input for workflow package "{package.name}": {error}'
        ) from error
    except Exception:
        pass  # told with the first seed
    return lambda roll: StartRun(package.name)


def faults_of(faults: object, *, stubs: bool) -> frozenset[Fault]:
    """Those named, of those that there can be."""
    if isinstance(faults, str) or not isinstance(faults, Collection):
        raise ConfigError(f"faults takes a list of names, not {faults!r}")
    named = frozenset(map(_fault, cast("Collection[object]", faults)))
    allowed = named if stubs else named - OF_STUBS
    if named and not allowed:
        raise ConfigError(f'only executors="stubs" have the faults {", ".join(sorted(named))}')
    return allowed


def _fault(name: object) -> Fault:
    try:
        return Fault(cast("str", name))
    except ValueError:
        known = ", ".join(sorted(Fault))
        raise ConfigError(f"there is no fault {name!r}: the faults are {known}") from None


def require_executors(executors: object) -> None:
    if executors not in ("own", "stubs"):
        raise ConfigError(f'executors must be "own" or "stubs", not {executors!r}')


def require_jobs(jobs: object) -> None:
    if not isinstance(jobs, int) or isinstance(jobs, bool) or jobs < 1:
        raise ConfigError(f"jobs must be a whole number >= 1, not {jobs!r}")


def limits_of(patience: Any, seconds: Any) -> Limits:
    for name, value in (("patience", patience), ("seconds", seconds)):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 < value <= 1e9:
            raise ConfigError(f"{name} must be a number of seconds > 0, not {value!r}")
    return Limits(patience=patience, seconds=seconds)


def require_fixed(fixed: Mapping[str, object]) -> None:
    """Names and values of a world's fields."""
    for name in fixed:
        if name not in FIXED:
            known = ", ".join(FIXED)
            raise ConfigError(f"simulate has no option {name!r}: of a world there can be set {known}")
    users_world(0, frozenset(), fixed)


def users_world(seed: int, faults: frozenset[Fault], fixed: Mapping[str, Any]) -> World:
    """The world of a seed, with nothing in it that only the simulation's own package has."""
    drawn = draw_world(seed, faults)
    default = attrs.evolve(drawn.default_queue, rate_limit=None)
    plain = attrs.evolve(drawn, features=frozenset(), queues={}, default_queue=default)
    return attrs.evolve(plain, **fixed)


def seeds_of(seeds: object) -> Iterator[int]:
    """One by one, since there may be no end of them. Raises ConfigError for none, or for what is none."""
    if isinstance(seeds, str | bytes) or not isinstance(seeds, Iterable):
        raise ConfigError(f"seeds must be some whole numbers, such as range(100), not {seeds!r}")
    some = cast("Iterable[object]", seeds)
    if isinstance(some, list | tuple | Set):
        for seed in some:
            _seed(seed)
    return _one_by_one(iter(some))


def _one_by_one(seeds: Iterator[object]) -> Iterator[int]:
    for first in seeds:
        checked = _seed(first)
        return _with(checked, seeds)
    raise ConfigError("there is no seed to play: seeds is empty, or was used up before")


def _with(first: int, others: Iterator[object]) -> Iterator[int]:
    yield first
    for seed in others:
        yield _seed(seed)


def _seed(seed: object) -> int:
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ConfigError(f"a seed must be a whole number, not {seed!r}")
    return seed
