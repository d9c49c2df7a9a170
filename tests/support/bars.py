"""Days and limits that tests of bars share."""

from datetime import UTC, time

from feeds.recorder.market_days import Days
from feeds.recorder.open_bars import MINUTE

DAY = 24 * 60 * MINUTE


DAYS = Days(UTC, time(0))


FIRST_DAY = DAYS.find(0)


ALL = (-1, -1)
