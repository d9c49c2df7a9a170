"""Says whether the market of a source is open. Pure.

The market of shares is open from 9:30 to 16:00 in New York on weekdays, even on holidays. Other markets are always
open.
"""

from datetime import UTC, date, datetime, time, timedelta

from feeds.sources.adapter import Market

OPEN, CLOSE = time(9, 30), time(16)
STANDARD_TIME, SUMMER_TIME = timedelta(hours=-5), timedelta(hours=-4)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def is_open(market: Market, now: int) -> bool:
    """Returns whether a market is open. `now` is in unix microseconds."""
    if market is Market.ALWAYS:
        return True
    local = new_york_time(EPOCH + timedelta(microseconds=now))
    return local.weekday() < 5 and OPEN <= local.time() < CLOSE


def new_york_time(moment: datetime) -> datetime:
    """Returns the date and time in New York at a moment in UTC. The result has no time zone."""
    standard = moment.replace(tzinfo=None) + STANDARD_TIME
    begin = datetime.combine(sunday(standard.year, 3, 2), time(2))
    end = datetime.combine(sunday(standard.year, 11, 1), time(1))
    return standard + (SUMMER_TIME - STANDARD_TIME) if begin <= standard < end else standard


def sunday(year: int, month: int, number: int) -> date:
    """Returns the Sunday with this `number` in a month, such as 2 for the second Sunday."""
    first = date(year, month, 1)
    return first + timedelta(days=6 - first.weekday(), weeks=number - 1)
