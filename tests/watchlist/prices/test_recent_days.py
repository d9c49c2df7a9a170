from datetime import UTC, datetime, timedelta

import pytest
import redis

from feeds.recorder.symbol_bars import MINUTE_US
from feeds.wire import Update
from tests.support.recording.recorded_bars import RecordedBars
from watchlist.prices.day import SPARKLINE_POINTS, Day
from watchlist.prices.recent_days import read_days

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)
CURRENT_MINUTE = int(NOW.timestamp()) // 60


def at_minute(ago: int, price: float = 1.5, symbol: str = "AAPL") -> Update:
    at = (CURRENT_MINUTE - ago) * MINUTE_US
    return Update(symbol, price, at, at)


def test_days_are_read_with_the_closes_of_the_last_hour(recorded: RecordedBars):
    recorded.record(
        at_minute(1440, 7.0), *(at_minute(ago, float(ago)) for ago in (60, 59, 30, 0)), at_minute(2, 5.0, "BRK.B")
    )
    assert read_days(["AAPL", "BRK.B", "XXXX"], NOW) == {
        "AAPL": Day(60.0, 60.0, 0.0, 7.0, [59.0, 30.0, 0.0]),
        "BRK.B": Day(5.0, 5.0, 5.0, None, [5.0]),
    }
    assert read_days([], NOW) == {}


def test_an_hour_has_as_many_closes_as_a_sparkline_has_points(recorded: RecordedBars):
    recorded.record(*(at_minute(ago, float(ago)) for ago in range(100, -1, -1)))
    closes = read_days(["AAPL"], NOW)["AAPL"].minute_closes
    assert closes == [float(ago) for ago in range(59, -1, -1)]
    assert len(closes) == SPARKLINE_POINTS


def test_an_hour_is_read_from_both_ends_of_the_ring(recorded: RecordedBars):
    """At 00:30 UTC, the minutes before midnight are the last ones of the ring."""
    recorded.record(*(at_minute(ago, float(ago), symbol) for ago in (720, 692, 691) for symbol in ("AAPL", "BRK.B")))
    days = read_days(["AAPL", "BRK.B"], NOW - timedelta(minutes=690))
    assert [day.minute_closes for day in days.values()] == [[720.0, 692.0, 691.0]] * 2


def test_a_day_that_redis_does_not_have_comes_from_the_database(recorded: RecordedBars, redis_client: redis.Redis):
    recorded.record(at_minute(1440, 7.0), at_minute(1, 3.0))
    redis_client.flushall()
    assert read_days(["AAPL", "XXXX"], NOW) == {"AAPL": Day(3.0, 3.0, 3.0, 7.0)}


def test_a_day_that_is_not_valid_in_redis_comes_from_the_database(recorded: RecordedBars, redis_client: redis.Redis):
    recorded.record(at_minute(1440, 7.0), at_minute(1, 3.0))
    redis_client.set("day:AAPL", b"nonsense")
    assert read_days(["AAPL"], NOW) == {"AAPL": Day(3.0, 3.0, 3.0, 7.0)}


def test_if_redis_is_unreachable_days_come_from_the_database(recorded: RecordedBars, unreachable_redis: None):
    recorded.record(at_minute(5, 2.0), at_minute(4, 3.0))
    assert read_days(["AAPL"], NOW) == {"AAPL": Day(2.0, 3.0, 2.0, None)}
