from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from feeds.feeder.network.market_hours import EPOCH, is_open, new_york_time
from feeds.sources.adapter import Market

NEW_YORK = ZoneInfo("America/New_York")


def unix_us(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2026-11-27T09:29:59", False),
        ("2026-11-27T09:30", True),
        ("2026-11-27T15:59:59", True),
        ("2026-11-27T16:00", False),
        ("2026-11-28T12:00", False),
        ("2026-07-06T09:30", True),
        ("2026-07-05T12:00", False),
    ],
)
def test_shares_are_traded_on_weekdays_in_new_york(moment: str, expected: bool):
    assert is_open(Market.US_SHARES, unix_us(moment)) == expected


def test_coins_are_always_traded():
    assert is_open(Market.ALWAYS, 0)


def test_the_time_in_new_york_is_that_of_the_time_zone_database():
    for hours in range(0, 24 * 366 * 3, 7):
        moment = EPOCH + timedelta(days=20_000, hours=hours)
        assert new_york_time(moment) == moment.astimezone(NEW_YORK).replace(tzinfo=None)
