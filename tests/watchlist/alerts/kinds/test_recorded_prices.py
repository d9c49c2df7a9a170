from datetime import date

import pytest
import redis

from feeds.bar_layout import day_key
from feeds.models import DayBar, Tape
from feeds.recorder.symbol_bars import MINUTE_US, SECOND_US
from feeds.store.connection import connect
from feeds.wire import Update
from tests.support.recording.recorded_bars import RecordedBars
from watchlist.alerts.kinds.recorded_prices import RecordedCloses, read_minutes, read_range
from watchlist.prices.day import PriceRange

pytestmark = pytest.mark.django_db

MINUTE = 29_500_000
DAY_MINUTES = 24 * 60
DAY = date(2026, 11, 22).toordinal()


def at(minute: int, second: float, price: float) -> Update:
    return Update("AAPL", price, (MINUTE + minute) * MINUTE_US + int(second * SECOND_US), 10**6 + minute)


def test_minutes_of_a_day_and_the_last_one_before_come_from_the_database(recorded: RecordedBars):
    updates = [at(-5000, 1, 1.0), at(-4000, 1, 2.0), at(-DAY_MINUTES, 1, 3.0), at(0, 1, 4.0), at(0, 59, 5.0)]
    recorded.record(*updates)
    found = read_minutes("AAPL", "simulated", updates[-1].timestamp)
    assert found == [(*update.order, update.price) for update in (updates[1], updates[2], updates[4])]
    assert read_minutes("AAPL", "kraken", updates[-1].timestamp) == []


def test_seconds_come_from_redis_if_they_are_of_the_same_source(recorded: RecordedBars, redis_client: redis.Redis):
    updates = [at(-11, 0, 1.0), at(-3, 1.2, 2.0), at(-3, 1.7, 3.0), at(-3, 2, 4.0), at(0, 5, 5.0)]
    recorded.record(*updates, save=False)
    closes = RecordedCloses(redis_client)
    expected = [(*update.order, update.price) for update in updates[2:]]
    assert closes.find("AAPL", "simulated", updates[-1].timestamp) == expected
    assert closes.find("AAPL", "kraken", updates[-1].timestamp) == []
    redis_client.set(day_key("AAPL"), b"{}")
    assert closes.find("AAPL", "simulated", updates[-1].timestamp) == []


def test_without_redis_only_minutes_are_found(recorded: RecordedBars):
    recorded.record(at(-1, 5, 3.0), at(0, 5, 4.0))
    closes = RecordedCloses(connect({"host": "127.0.0.1", "port": 1}))
    assert [price for *_, price in closes.find("AAPL", "simulated", MINUTE * MINUTE_US)] == [3.0, 4.0]


def test_a_range_covers_the_bars_of_one_source_from_one_day_to_another():
    tape, other = (Tape.objects.create(symbol="AAPL", source=source) for source in ("kraken", "simulated"))
    for number, of in enumerate([tape, tape, tape, other]):
        values = {"open": 5, "low": number, "high": 10 + number, "close": 5, "count": 1, "first_seq": 1, "last_seq": 1}
        day = date.fromordinal(DAY + number % 3)
        DayBar.objects.create(tape=of, day=day, first_at=0, last_at=0, **values)
    assert read_range("AAPL", "kraken", DAY, DAY + 1) == PriceRange(0.0, 11.0)
    assert read_range("AAPL", "kraken", DAY + 1, DAY + 9) == PriceRange(1.0, 12.0)
    assert read_range("AAPL", "kraken", DAY + 3, DAY + 9) is None
