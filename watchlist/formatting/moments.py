"""Writes a point in time as text, or in unix microseconds. Pure."""

from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache

KEPT_SECONDS = 1024  # the rows of a live table show only a few different seconds
"""The maximum number of texts in the cache. Each text is for one second."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def write_moment(moment: datetime, now: datetime, zone: tzinfo = UTC) -> str:
    """Returns `moment` as text: `14:03:11 UTC` on the day of `now`, or `2026-11-22 14:03 UTC` on any other day.

    Days begin at midnight in `zone`. `moment` and `now` must have a time zone.
    """
    return _write_second(moment.replace(microsecond=0), now.astimezone(zone).date(), zone)


@lru_cache(maxsize=KEPT_SECONDS)
def _write_second(second: datetime, today: date, zone: tzinfo) -> str:
    second = second.astimezone(zone)
    return second.strftime("%H:%M:%S %Z" if second.date() == today else "%Y-%m-%d %H:%M %Z")


def to_microseconds(moment: datetime) -> int:
    """Returns a moment in unix microseconds."""
    return (moment - EPOCH) // MICROSECOND


def from_microseconds(time: int) -> datetime:
    """Returns the moment in UTC at this time in unix microseconds."""
    return EPOCH + time * MICROSECOND
