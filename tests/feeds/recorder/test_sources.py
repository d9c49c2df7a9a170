from datetime import UTC, date, time, timedelta

import pytest
import redis

from feeds.bar_layout import MINUTES, decode_day
from feeds.history.market_days import make_source_days
from feeds.models import DayBar, MinuteBar, Tape, Ticker
from feeds.recorder.open_bars import OpenBars
from feeds.recorder.symbol_bars import MINUTE_US, SymbolBars
from feeds.wire import Update
from tests.support.kafka.fixtures import Produce
from tests.support.recording.bars import DAY_US, NO_OLDEST
from tests.support.recording.recorder import NOON, RecorderFactory, StopWhen, make_feed, read_ring

pytestmark = pytest.mark.django_db(transaction=True)

MINUTE = NOON // MINUTE_US
YESTERDAY = [update for update in make_feed(2, NOON - DAY_US) if update.symbol == "BTC/USD"]
TODAY = [update for update in make_feed(2) if update.symbol == "BTC/USD"]
LATER = [update for update in make_feed(2, NOON + 2 * MINUTE_US) if update.symbol == "BTC/USD"]


def counts(source: str) -> dict[str, int]:
    """Returns the number of updates of each recorded day of BTC/USD from this source."""
    rows = DayBar.objects.filter(tape__symbol="BTC/USD", tape__source=source)
    return {str(day): count for day, count in rows.values_list("day", "count")}


def ring_minutes(client: redis.Redis) -> list[int]:
    return list(read_ring(client, MINUTES, "BTC/USD", MINUTE - 1439, MINUTE + 60))


def test_a_ticker_with_a_new_source_begins_without_bars_and_previous_close(
    factory: RecorderFactory, produce: Produce, redis_client: redis.Redis
):
    produce(*YESTERDAY, *TODAY)
    produce(*LATER, source="kraken")
    factory.run_until_read(36)

    assert counts("simulated") == {"2026-11-21": 12, "2026-11-22": 12}
    assert counts("kraken") == {"2026-11-22": 12}
    assert Tape.objects.get(source="simulated").previous_close == YESTERDAY[-1].price
    assert Tape.objects.get(source="kraken").previous_close is None
    day = decode_day(redis_client.get("day:BTC/USD"))
    assert (day.source, day.count, day.previous_close) == ("kraken", 12, None)
    assert ring_minutes(redis_client) == [MINUTE + 2, MINUTE + 3]


def test_a_restarted_recorder_deletes_the_recent_bars_of_an_earlier_source(
    factory: RecorderFactory, produce: Produce, redis_client: redis.Redis
):
    produce(*TODAY)
    factory.run_until_read(12)
    assert ring_minutes(redis_client) == [MINUTE, MINUTE + 1]
    produce(*LATER, source="kraken")
    factory.run_until_read(12)
    assert ring_minutes(redis_client) == [MINUTE + 2, MINUTE + 3]
    assert MinuteBar.objects.count() == 4


def test_a_ticker_that_returns_to_its_earlier_source_has_its_earlier_bars_again(
    factory: RecorderFactory, produce: Produce, redis_client: redis.Redis
):
    produce(*YESTERDAY)
    produce(*TODAY, source="kraken")
    produce(*LATER)
    factory.run_until_read(36)
    assert counts("simulated") == {"2026-11-21": 12, "2026-11-22": 12}
    assert counts("kraken") == {"2026-11-22": 12}
    assert decode_day(redis_client.get("day:BTC/USD")).previous_close == YESTERDAY[-1].price


def test_redis_has_no_bars_of_a_source_that_the_ticker_left(
    factory: RecorderFactory, produce: Produce, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("feeds.recorder.schedule.FOLLOW_EVERY_SECONDS", 0.0)
    ticker = Ticker.objects.create(symbol="BTC/USD", base_price=1.0, source="kraken")
    produce(*TODAY, source="kraken")
    recorder = factory.make_recorder()

    def is_forgotten() -> bool:
        if ticker.source == "kraken" and redis_client.exists("day:BTC/USD"):
            ticker.source = "coinbase"
            ticker.save()
        return ticker.source == "coinbase" and not redis_client.exists("day:BTC/USD")

    recorder.run(StopWhen(is_forgotten))
    assert ring_minutes(redis_client) == []
    assert counts("kraken") == {"2026-11-22": 12}


def test_redis_has_the_bars_again_if_the_ticker_returns_to_their_source(
    factory: RecorderFactory, produce: Produce, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("feeds.recorder.schedule.FOLLOW_EVERY_SECONDS", 0.0)
    ticker = Ticker.objects.create(symbol="BTC/USD", base_price=1.0, source="coinbase")
    produce(*TODAY, source="kraken")
    recorder = factory.make_recorder()

    def is_back() -> bool:
        known = recorder._open_bars.by_symbol.get("BTC/USD")
        if known is not None and known.is_outdated and ticker.source == "coinbase":
            ticker.source = "kraken"
            ticker.save()
        return ticker.source == "kraken" and bool(redis_client.exists("day:BTC/USD"))

    recorder.run(StopWhen(is_back))
    assert ring_minutes(redis_client) == [MINUTE, MINUTE + 1]


def test_current_tapes_are_those_of_the_sources_of_the_tickers():
    Ticker.objects.create(symbol="BTC/USD", base_price=1.0, source="kraken")
    for symbol, source in [("BTC/USD", "simulated"), ("BTC/USD", "kraken"), ("XXXX", "simulated"), ("XXXX", "kraken")]:
        Tape.objects.create(symbol=symbol, source=source)
    tapes = Tape.objects.of_current_sources().values_list("symbol", "source")
    assert set(tapes) == {("BTC/USD", "kraken"), ("XXXX", "simulated")}


def test_each_source_has_its_own_market_days():
    open_bars = OpenBars(make_source_days(UTC, time(9)))
    at = NOON + 16 * 60 * MINUTE_US  # 04:00 UTC of the next day, 23:00 in New York
    for symbol, source in [("A", "kraken"), ("B", "alpaca"), ("C", "simulated")]:
        open_bars.add_symbol(SymbolBars(symbol, 1, source=source))
        open_bars.add(Update(symbol, 1.5, at, 1), 0, *NO_OLDEST)
    days = {symbol: date.fromordinal(bars.days.newest) for symbol, bars in open_bars.by_symbol.items()}
    noon_day = date(2026, 11, 22)
    assert days == {"A": noon_day + timedelta(days=1), "B": noon_day, "C": noon_day}
