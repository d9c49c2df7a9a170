from datetime import UTC, datetime

import pytest
import redis

from feeds.recorder.symbol_bars import MINUTE_US
from feeds.wire import Update
from tests.support.recording.recorded_bars import RecordedBars
from watchlist.prices.bar_pages import DAY_SECONDS, MAX_SECONDS, MINUTE_SECONDS, BarPage, read_bar_page

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC)
NOW_SECONDS = int(NOW.timestamp())
CURRENT_MINUTE = NOW_SECONDS // 60
CURRENT_DAY = NOW_SECONDS // DAY_SECONDS


def at_minute(ago: int, price: float) -> Update:
    at = (CURRENT_MINUTE - ago) * MINUTE_US
    return Update("AAPL", price, at, at)


def minutes_from(first: int, until: int = MAX_SECONDS, limit: int = 100) -> BarPage:
    return read_bar_page("AAPL", MINUTE_SECONDS, first, until, limit, NOW)


def closes_of(page: BarPage) -> list[float]:
    return [bar.close for bar in page.bars]


def test_minutes_come_from_the_database_and_the_newest_from_redis(recorded: RecordedBars, redis_client: redis.Redis):
    recorded.record(*(at_minute(ago, float(ago)) for ago in (5000, 700, 20, 8)))
    recorded.record(at_minute(1, 1.5), at_minute(0, 2.5), save=False)
    page = minutes_from(0)
    assert closes_of(page) == [5000.0, 700.0, 20.0, 8.0, 1.5, 2.5]
    assert [bar.start for bar in page.bars][-1] == CURRENT_MINUTE * 60
    redis_client.flushall()
    assert closes_of(minutes_from(0)) == [5000.0, 700.0, 20.0, 8.0]


def test_pages_continue_where_the_page_before_ended(recorded: RecordedBars):
    recorded.record(*(at_minute(ago, float(ago)) for ago in range(30, -1, -1)))
    found, first = [], 0
    while first is not None:
        page = minutes_from(first, limit=7)
        assert len(page.bars) <= 7
        found += closes_of(page)
        first = page.next_start
    assert found == [float(ago) for ago in range(30, -1, -1)]


def test_a_period_includes_its_first_second_and_not_its_end(recorded: RecordedBars):
    recorded.record(*(at_minute(ago, float(ago)) for ago in (22, 21, 20, 3, 2, 1)))
    for last, first in ((20, 22), (1, 3)):
        begin, end = (CURRENT_MINUTE - first) * 60, (CURRENT_MINUTE - last) * 60
        assert closes_of(minutes_from(begin, end)) == [float(first), float(first - 1)]
        assert closes_of(minutes_from(begin + 1, end + 1)) == [float(first - 1), float(last)]


def test_days_start_at_midnight_in_utc(recorded: RecordedBars):
    for ago in (2, 1, 0):
        recorded.record(at_minute(ago * 1440, float(ago)))
    page = read_bar_page("AAPL", DAY_SECONDS, 0, MAX_SECONDS, 2, NOW)
    assert closes_of(page) == [2.0, 1.0]
    assert page.bars[0].start == (CURRENT_DAY - 2) * DAY_SECONDS
    assert page.next_start == CURRENT_DAY * DAY_SECONDS
    assert closes_of(read_bar_page("AAPL", DAY_SECONDS, page.next_start, MAX_SECONDS, 2, NOW)) == [0.0]
    assert read_bar_page("AAPL", DAY_SECONDS, 0, page.next_start, 5, NOW).next_start is None


@pytest.mark.parametrize("step", [MINUTE_SECONDS, DAY_SECONDS])
@pytest.mark.parametrize(
    ("first", "until"), [(5, 4), (0, 0), (MAX_SECONDS, MAX_SECONDS), (NOW_SECONDS + 90, MAX_SECONDS)]
)
def test_an_empty_period_has_no_bars(recorded: RecordedBars, step: int, first: int, until: int):
    recorded.record(at_minute(1, 5.0))
    assert read_bar_page("AAPL", step, first, until, 10, NOW) == BarPage([], None)


def test_a_symbol_that_was_never_recorded_has_no_bars(recorded: RecordedBars):
    assert minutes_from(0) == BarPage([], None)
    assert read_bar_page("AAPL", DAY_SECONDS, 0, MAX_SECONDS, 10, NOW) == BarPage([], None)
