"""Constants that tests of bars share."""

from datetime import UTC, time

from feeds.history.market_days import MarketDays, SourceDays
from feeds.recorder.symbol_bars import MINUTE_US

DAY_US = 24 * 60 * MINUTE_US

UTC_DAYS = MarketDays(UTC, time(0))

UTC_EVERYWHERE = SourceDays(UTC_DAYS)
"""Market days that begin at midnight UTC, for every source."""

FIRST_DAY = UTC_DAYS.day_at(0)

NO_OLDEST = (-1, -1)
"""The oldest second and minute of a recorder that retains everything."""
