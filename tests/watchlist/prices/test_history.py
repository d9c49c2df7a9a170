from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import redis

from feeds.recorder.bar_archive import BarArchive
from feeds.recorder.open_bars import MINUTE_US, OpenBars
from feeds.recorder.recent_bars import RecentBars
from feeds.store.connection import connect
from feeds.wire import Update
from stockwatch.local.redis_server import RedisServer, free_port
from tests.support.bars import NO_OLDEST, UTC_DAYS
from watchlist.prices.candles import MOST_POINTS
from watchlist.prices.day import Day
from watchlist.prices.history import read_chart, read_days

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)
THIS = int(NOW.timestamp()) // 60
MONTH = timedelta(days=30)


class Records:
    """Records updates as the recorder does; `now` of pages stands half a minute into THIS."""

    def __init__(self, server: RedisServer) -> None:
        self.rings = RecentBars(connect({"host": server.host, "port": server.port}))
        self.archive = BarArchive()

    def enter(self, *updates: Update, save: bool = True) -> None:
        """Each minute and day in one call. Without `save` the database has none of it yet."""
        book = OpenBars(UTC_DAYS)
        for track in self.archive.load_symbols({update.symbol: -1 for update in updates}):
            book.add_symbol(track)
        for update in updates:
            book.add(update, 0, *NO_OLDEST)
        self.rings.write(book.unwritten_symbols())
        if not save:
            return
        self.archive.save(book.unsaved_minutes(), book.unsaved_days())
        self.archive.save_closes(book.symbols_with_unsaved_close())


@pytest.fixture
def records(redis_server: RedisServer, redis_client: redis.Redis, settings) -> Iterator[Records]:
    settings.REDIS = {"host": redis_server.host, "port": redis_server.port, "password": None, "db": 0}
    records = Records(redis_server)
    yield records
    records.rings.close()


@pytest.fixture
def redis_away(settings) -> None:
    settings.REDIS = {"host": "127.0.0.1", "port": free_port(), "password": None, "db": 0}


def at_minute(ago: int, price: float = 1.5, symbol: str = "AAPL", second: int = 0) -> Update:
    start = (THIS - ago) * MINUTE_US + second * 1_000_000
    return Update(symbol, price, start, start)


def test_a_short_chart_has_seconds(records: Records):
    records.enter(*(at_minute(ago, float(ago), second=5) for ago in (12, 9, 3, 0)))
    chart = read_chart("AAPL", timedelta(minutes=10), NOW, MONTH)
    assert chart.step == 1
    assert [(candle.start, candle.close) for candle in chart.candles] == [
        ((THIS - ago) * 60 + 5, float(ago)) for ago in (9, 3, 0)
    ]


def test_a_chart_of_a_day_has_minutes_from_redis_or_else_from_the_database(records: Records, redis_client: redis.Redis):
    records.enter(*(at_minute(ago, float(ago)) for ago in (1450, 1439, 700, 0)))
    chart = read_chart("AAPL", timedelta(days=1), NOW, MONTH)
    assert chart.step == 60
    assert [candle.close for candle in chart.candles] == [1439.0, 700.0, 0.0]
    redis_client.flushall()
    assert read_chart("AAPL", timedelta(days=1), NOW, MONTH) == chart


def test_a_chart_of_a_day_asks_the_database_for_no_minutes(records: Records, django_assert_num_queries):
    records.enter(*(at_minute(ago, float(ago)) for ago in range(1441)))
    with django_assert_num_queries(1) as asked:
        chart = read_chart("AAPL", timedelta(days=1), NOW, MONTH)
    assert "feeds_tape" in asked[0]["sql"]
    assert [candle.close for candle in chart.candles] == [float(ago) for ago in range(1439, -1, -1)]


def test_a_long_chart_joins_what_the_database_has_and_what_is_newer_in_redis(records: Records):
    records.enter(*(at_minute(ago, float(ago)) for ago in (10_000, 9_000)))
    records.enter(at_minute(1), at_minute(1, 50.0, second=30), at_minute(0, 60.0), save=False)
    chart = read_chart("AAPL", timedelta(days=7), NOW, MONTH)
    assert chart.step == 600
    assert [candle.start % 600 for candle in chart.candles] == [0] * len(chart.candles)
    assert sum(candle.count for candle in chart.candles) == 5
    assert max(candle.high for candle in chart.candles) == 10_000.0
    assert chart.candles[-1].close == 60.0


def test_a_chart_longer_than_minutes_are_kept_has_days(records: Records):
    records.enter(*(at_minute(ago * 1440, float(ago + 1)) for ago in (400, 40, 1, 0)))
    chart = read_chart("AAPL", timedelta(days=90), NOW, MONTH)
    assert chart.step == 86_400
    assert [candle.close for candle in chart.candles] == [41.0, 2.0, 1.0]


def test_all_there_is_begins_with_the_first_day_and_has_points_as_short_as_it_can(records: Records):
    records.enter(*(at_minute(ago * 60, float(ago + 1)) for ago in (47, 5, 0)))
    short = read_chart("AAPL", None, NOW, MONTH)
    assert short.step == 120
    assert [candle.close for candle in short.candles] == [48.0, 6.0, 1.0]
    records.enter(at_minute(400 * 1440, 9.0))
    assert read_chart("AAPL", None, NOW, MONTH).candles[0].close == 9.0


@pytest.mark.parametrize(
    "span", [timedelta(minutes=5), timedelta(hours=3), timedelta(days=30), timedelta(days=99), None]
)
def test_what_was_never_recorded_has_an_empty_chart(records: Records, span: timedelta | None):
    assert list(read_chart("XXXX", span, NOW, MONTH).candles) == []


def test_no_chart_has_more_than_its_points(records: Records):
    records.enter(*(at_minute(ago) for ago in range(3_000)))
    for days in (1, 2, 3):
        assert len(read_chart("AAPL", timedelta(days=days), NOW, MONTH).candles) <= MOST_POINTS


def test_without_redis_charts_come_from_the_database(records: Records, redis_away: None):
    records.enter(at_minute(5, 2.0), at_minute(4, 3.0))
    assert [candle.close for candle in read_chart("AAPL", timedelta(hours=1), NOW, MONTH).candles] == [2.0, 3.0]
    assert list(read_chart("AAPL", timedelta(minutes=5), NOW, MONTH).candles) == []
    assert read_days(["AAPL"], NOW) == {"AAPL": Day(2.0, 3.0, 2.0, None)}


def test_days_of_a_page_come_with_their_last_hour(records: Records, redis_client: redis.Redis):
    records.enter(
        at_minute(1440, 7.0), *(at_minute(ago, float(ago)) for ago in (61, 60, 30, 0)), at_minute(2, 5.0, "BRK.B")
    )
    assert read_days(["AAPL", "BRK.B", "XXXX"], NOW) == {
        "AAPL": Day(61.0, 61.0, 0.0, 7.0, [60.0, 30.0, 0.0]),
        "BRK.B": Day(5.0, 5.0, 5.0, None, [5.0]),
    }
    redis_client.flushall()
    assert read_days(["AAPL", "XXXX"], NOW) == {"AAPL": Day(61.0, 61.0, 0.0, 7.0)}
    redis_client.set("day:AAPL", b"nonsense")
    assert read_days(["AAPL"], NOW) == {"AAPL": Day(61.0, 61.0, 0.0, 7.0)}
    assert read_days([], NOW) == {}
