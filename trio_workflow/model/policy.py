"""How often a step is tried, and how much of a queue may run: the options that users set."""

import math
from typing import Any, Literal

import attrs

from trio_workflow.errors import ConfigError

Backoff = Literal["fixed", "linear", "exponential"]


def _refuse(instance: object, field: str, rule: str, value: object) -> ConfigError:
    return ConfigError(f"{type(instance).__name__}.{field} must be {rule}, not {value!r}")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def whole(minimum: int) -> Any:
    """A validator: a whole number, at least `minimum`."""

    def check(instance: object, attribute: "attrs.Attribute[int]", value: object) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise _refuse(instance, attribute.name, f"a whole number >= {minimum}", value)

    return check


def number(*, above: float | None = None, least: float | None = None, most: float = math.inf) -> Any:
    """A validator: a number above `above` or at least `least`, and at most `most` (finite if that is)."""
    rule = f"a number > {above}" if above is not None else f"a number >= {least}"
    if most != math.inf:
        rule += f" and <= {most}"

    def check(instance: object, attribute: "attrs.Attribute[float]", value: Any) -> None:
        good = _is_number(value) and value <= most
        good = good and (above is None or value > above) and (least is None or value >= least)
        if not good:
            raise _refuse(instance, attribute.name, rule, value)

    return check


LONGEST = 1e9
"""Seconds, some 31 years: the longest duration a setting may name; a longer one is a slip."""


def _backoff(instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value not in ("fixed", "linear", "exponential"):
        raise _refuse(instance, attribute.name, '"fixed", "linear" or "exponential"', value)


def _rate_limit(instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
    if value is not None and not isinstance(value, RateLimit):
        raise _refuse(instance, attribute.name, "a RateLimit or None", value)


@attrs.frozen
class RetryPolicy:
    """How often a step is tried and how long it waits in between.

    max_attempts counts the first attempt. backoff: "fixed" waits initial_backoff each time, "linear" n times
    that before retry n, "exponential" initial_backoff * multiplier ** (n - 1); none waits longer than
    max_backoff (seconds). jitter: the fraction (0 to 1) of the delay that is randomised, downwards, so that
    max_backoff holds. Raises ConfigError for a value out of range.
    """

    max_attempts: int = attrs.field(default=3, validator=whole(1))
    backoff: Backoff = attrs.field(default="exponential", validator=_backoff)
    initial_backoff: float = attrs.field(default=1.0, validator=number(least=0.0, most=LONGEST))
    max_backoff: float = attrs.field(default=60.0, validator=number(least=0.0, most=LONGEST))
    multiplier: float = attrs.field(default=2.0, validator=number(least=1.0, most=LONGEST))
    jitter: float = attrs.field(default=0.0, validator=number(least=0.0, most=1.0))


def _fills(rate: "RateLimit", attribute: "attrs.Attribute[int]", burst: int) -> None:
    if burst > rate.rate_per_second * LONGEST:
        raise ConfigError(f"{rate} takes longer than {LONGEST:g} seconds to fill")


@attrs.frozen
class RateLimit:
    """A token bucket: `burst` starts at once, then `rate_per_second`. One token per step start."""

    rate_per_second: float = attrs.field(validator=number(above=0.0, most=1e6))
    burst: int = attrs.field(default=1, validator=[whole(1), _fills])


@attrs.frozen
class QueueConfig:
    """What a queue may run at once, over all processes that share the store; 0 pauses it."""

    max_workers: int = attrs.field(default=1, validator=whole(0))
    rate_limit: RateLimit | None = attrs.field(default=None, validator=_rate_limit)
