"""Times: integer microseconds since 1970 inside the engine, aware UTC datetimes in records."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EXACT = 2**52  # microseconds; some time in 2112
LAST = 253_402_300_799_000_000  # the last second a datetime can show; farther dates are shown as this one


def micros(seconds: float) -> int:
    """Seconds as microseconds; what lies beyond the calendar becomes its end."""
    return min(round(min(seconds, 1e12) * 1_000_000), LAST)


def seconds_or_none(duration: int | None) -> float | None:
    return None if duration is None else duration / 1_000_000


def to_datetime(at: int) -> datetime:
    if at < EXACT:  # a float of seconds still tells microseconds apart, and this way is the faster
        return datetime.fromtimestamp(at / 1_000_000, UTC)
    return EPOCH + timedelta(microseconds=min(at, LAST))


def to_datetime_or_none(at: int | None) -> datetime | None:
    return None if at is None else to_datetime(at)
