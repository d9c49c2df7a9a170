from datetime import UTC, datetime, timedelta

import pytest
import redis

from feeds.models import MinuteBar
from feeds.recorder.symbol_bars import MINUTE_US, SECOND_US
from feeds.wire import Update
from tests.support.recording.recorded_bars import RecordedBars
from watchlist.prices.candles import MAX_CANDLES
from watchlist.prices.history import read_candles

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)
CURRENT_MINUTE = int(NOW.timestamp()) // 60
MONTH = timedelta(days=30)


def at_minute(ago: int, price: float = 1.5, symbol: str = "AAPL", second: int = 0) -> Update:
    at = (CURRENT_MINUTE - ago) * MINUTE_US + second * SECOND_US
    return Update(symbol, price, at, at)


def test_a_short_chart_has_seconds(recorded: RecordedBars):
    recorded.record(*(at_minute(ago, float(ago), second=5) for ago in (12, 9, 3, 0)))
    series = read_candles("AAPL", timedelta(minutes=10), NOW, MONTH)
    assert series.step == 1
    assert [(candle.start, candle.close) for candle in series.candles] == [
        ((CURRENT_MINUTE - ago) * 60 + 5, float(ago)) for ago in (9, 3, 0)
    ]


def test_a_chart_of_a_day_has_minutes_from_redis_or_if_they_are_lost_from_the_database(
    recorded: RecordedBars, redis_client: redis.Redis
):
    recorded.record(*(at_minute(ago, float(ago)) for ago in (1450, 1439, 700, 0)))
    series = read_candles("AAPL", timedelta(days=1), NOW, MONTH)
    assert series.step == 60
    assert [candle.close for candle in series.candles] == [1439.0, 700.0, 0.0]
    redis_client.flushall()
    assert read_candles("AAPL", timedelta(days=1), NOW, MONTH) == series


def test_a_chart_of_a_day_reads_no_minutes_from_the_database(recorded: RecordedBars, django_assert_num_queries):
    recorded.record(*(at_minute(ago, float(ago)) for ago in range(1441)))
    with django_assert_num_queries(1) as queries:
        series = read_candles("AAPL", timedelta(days=1), NOW, MONTH)
    assert "feeds_tape" in queries[0]["sql"]
    assert [candle.close for candle in series.candles] == [float(ago) for ago in range(1439, -1, -1)]


def test_a_long_chart_joins_minutes_from_the_database_with_newer_ones_from_redis(recorded: RecordedBars):
    recorded.record(*(at_minute(ago, float(ago)) for ago in (10_000, 9_000)))
    recorded.record(at_minute(1), at_minute(1, 50.0, second=30), at_minute(0, 60.0), save=False)
    series = read_candles("AAPL", timedelta(days=7), NOW, MONTH)
    assert series.step == 600
    assert [candle.start % 600 for candle in series.candles] == [0] * len(series.candles)
    assert sum(candle.count for candle in series.candles) == 5
    assert max(candle.high for candle in series.candles) == 10_000.0
    assert series.candles[-1].close == 60.0


@pytest.mark.parametrize("is_archived", [True, False])
def test_a_long_chart_of_a_symbol_that_is_new_has_as_many_candles_as_a_short_one(
    recorded: RecordedBars, is_archived: bool
):
    recorded.record(*(at_minute(ago, float(ago)) for ago in range(59, -1, -1)), save=is_archived)
    hour, week = (read_candles("AAPL", timedelta(hours=hours), NOW, MONTH) for hours in (1, 24 * 7))
    assert len(hour.candles) == 60
    assert week == hour


def test_a_chart_longer_than_the_retention_of_minutes_has_days(recorded: RecordedBars):
    recorded.record(*(at_minute(ago * 1440, float(ago + 1)) for ago in (400, 40, 1, 0)))
    series = read_candles("AAPL", timedelta(days=90), NOW, MONTH)
    assert series.step == 86_400
    assert [candle.close for candle in series.candles] == [41.0, 2.0, 1.0]


def test_a_chart_whose_past_has_days_but_no_minutes_has_days(recorded: RecordedBars):
    recorded.record(*(at_minute(ago * 1440, float(ago + 1)) for ago in (25, 20, 3, 0)))
    MinuteBar.objects.filter(close__gt=10.0).delete()  # as in a past that was fetched or simulated
    month, week = (read_candles("AAPL", timedelta(days=days), NOW, MONTH) for days in (30, 4))
    assert (month.step, [candle.close for candle in month.candles]) == (86_400, [26.0, 21.0, 4.0, 1.0])
    assert (week.step, [candle.close for candle in week.candles]) == (300, [4.0, 1.0])


def test_a_chart_of_all_begins_with_the_first_day_and_has_the_shortest_candles_that_fit(recorded: RecordedBars):
    recorded.record(*(at_minute(ago * 60, float(ago + 1)) for ago in (47, 5, 0)))
    series = read_candles("AAPL", None, NOW, MONTH)
    assert series.step == 120
    assert [candle.close for candle in series.candles] == [48.0, 6.0, 1.0]
    recorded.record(at_minute(400 * 1440, 9.0))
    assert read_candles("AAPL", None, NOW, MONTH).candles[0].close == 9.0


@pytest.mark.parametrize(
    "span", [timedelta(minutes=5), timedelta(hours=3), timedelta(days=30), timedelta(days=99), None]
)
def test_a_symbol_that_was_never_recorded_has_an_empty_chart(recorded: RecordedBars, span: timedelta | None):
    assert list(read_candles("XXXX", span, NOW, MONTH).candles) == []


def test_no_chart_has_more_than_the_maximum_of_candles(recorded: RecordedBars):
    recorded.record(*(at_minute(ago) for ago in range(3_000)))
    for days in (1, 2, 3):
        assert len(read_candles("AAPL", timedelta(days=days), NOW, MONTH).candles) <= MAX_CANDLES


def test_if_redis_is_unreachable_charts_come_from_the_database(recorded: RecordedBars, unreachable_redis: None):
    recorded.record(at_minute(5, 2.0), at_minute(4, 3.0))
    series = read_candles("AAPL", timedelta(hours=1), NOW, MONTH)
    assert [candle.close for candle in series.candles] == [2.0, 3.0]
    assert list(read_candles("AAPL", timedelta(minutes=5), NOW, MONTH).candles) == []
