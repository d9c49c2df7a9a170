from collections.abc import Callable

import pytest
from asgiref.sync import sync_to_async

from feeds.feeder.network.http_client import RequestFailed
from feeds.history.backfill import FetchedBars
from feeds.history.missed_spans import save_spans
from feeds.models import DayBar, MinuteBar, Origin, Tape
from feeds.recorder.bar_archive import BarArchive
from feeds.recorder.bars import Bar
from feeds.records import Span
from feeds.sources.adapter import Source
from feeds.sources.binance import BINANCE
from feeds.sources.coinbase import COINBASE
from feeds.sources.kraken import KRAKEN
from feeds.wire import Update
from tests.exchanges.binance import BinanceExchange
from tests.exchanges.coinbase import CoinbaseExchange
from tests.exchanges.kraken import KrakenExchange
from tests.exchanges.server import Exchange
from tests.support.history.exchange_bars import DAY_US, MINUTE_US, NOW, Row, add_trades, ledger_bars, open_backfill
from tests.support.recording.bars import UTC_DAYS

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("closed_connections")]

MakeExchange = Callable[..., Exchange]
AGES = [0, MINUTE_US // 2, *(at * 97 * MINUTE_US for at in range(1, 100)), *(at * DAY_US for at in range(1, 300, 7))]


def stored_minutes(origin: Origin = Origin.FETCHED) -> list[Row]:
    rows = MinuteBar.objects.filter(origin=origin).order_by("id")
    return [(bar.minute * MINUTE_US, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in rows]


def stored_days(origin: Origin = Origin.FETCHED) -> list[Row]:
    rows = DayBar.objects.filter(origin=origin).order_by("day")
    return [(bar.first_at, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in rows]


async def run(source: Source, exchange: Exchange, now: int = NOW, again: bool = False) -> FetchedBars:
    async with open_backfill(source, exchange, now) as backfill:
        return await backfill.run("BTC/USD", source.to_native("BTC/USD"), again=again)


@pytest.mark.parametrize(
    ("make_exchange", "source"),
    [(CoinbaseExchange, COINBASE), (BinanceExchange, BINANCE)],
    ids=["coinbase", "binance"],
)
async def test_the_closed_days_of_a_year_and_minutes_of_a_week_are_fetched(make_exchange: MakeExchange, source: Source):
    with make_exchange(["BTC/USD"], clock=lambda: NOW / 1e6) as exchange:
        add_trades(exchange, *AGES)
        fetched = await run(source, exchange)
        days = ledger_bars(exchange, 86_400)
        minutes = [row for row in ledger_bars(exchange, 60) if row[0] >= (NOW - 7 * DAY_US) // DAY_US * DAY_US]
    assert await sync_to_async(stored_days)() == days
    assert await sync_to_async(stored_minutes)() == minutes
    assert fetched == (len(days), len(minutes))


async def test_kraken_gives_the_newest_720_minutes():
    with KrakenExchange(["BTC/USD"], clock=lambda: NOW / 1e6) as exchange:
        add_trades(exchange, *(age for age in AGES if age < 3 * DAY_US))  # the fake makes an empty bar for each minute
        await run(KRAKEN, exchange)
        minutes = [row for row in ledger_bars(exchange, 60) if row[0] >= NOW - 719 * MINUTE_US]
        assert await sync_to_async(stored_days)() == ledger_bars(exchange, 86_400)
    assert await sync_to_async(stored_minutes)() == minutes


async def test_a_complete_past_is_noted_with_a_new_version():
    with KrakenExchange(["BTC/USD"], clock=lambda: NOW / 1e6) as exchange:
        await run(KRAKEN, exchange)
    tape = await Tape.objects.aget()
    assert (tape.symbol, tape.source, tape.has_past, tape.past_version) == ("BTC/USD", "kraken", True, 1)


async def test_an_interrupted_backfill_continues_where_it_stopped():
    with CoinbaseExchange(["BTC/USD"], clock=lambda: NOW / 1e6) as exchange:
        add_trades(exchange, *AGES)
        async with open_backfill(COINBASE, exchange) as backfill:
            fetch, requests = backfill._fetch, []

            async def fail_after_20(request: object) -> bytes:
                requests.append(request)
                if len(requests) == 20:
                    exchange.set_fault("requests_fail")
                return await fetch(request)

            backfill._fetch = fail_after_20
            with pytest.raises(RequestFailed):
                await backfill.run("BTC/USD", "BTC-USD")
            assert not (await Tape.objects.aget()).has_past
            exchange.clear_fault("requests_fail")
            await backfill.run("BTC/USD", "BTC-USD")
            repeated = [each for each in requests[20:] if each in requests[:20]]
            assert len(requests) > 40
            assert len(repeated) < 6
            minutes = [row for row in ledger_bars(exchange, 60) if row[0] >= (NOW - 7 * DAY_US) // DAY_US * DAY_US]
    assert await sync_to_async(stored_minutes)() == minutes


async def test_a_later_backfill_fetches_only_what_is_newer():
    with CoinbaseExchange(["BTC/USD"], clock=lambda: NOW / 1e6) as exchange:
        add_trades(exchange, *AGES)
        await run(COINBASE, exchange)
        done = len(exchange.requests)
        add_trades(exchange, -MINUTE_US)
        assert await run(COINBASE, exchange, NOW + 3 * MINUTE_US) == (0, 2)
        assert len(exchange.requests) - done <= 2
        await run(COINBASE, exchange, NOW + 3 * MINUTE_US, again=True)
        assert len(exchange.requests) > 2 * done


async def test_minutes_that_lack_trades_are_fetched_again_and_replaced():
    begin = NOW // MINUTE_US * MINUTE_US
    with CoinbaseExchange(["BTC/USD"], clock=lambda: NOW / 1e6) as exchange:
        add_trades(exchange, 3 * MINUTE_US)
        await run(COINBASE, exchange)
        await sync_to_async(record)("BTC/USD", 5)
        assert await run(COINBASE, exchange) == (0, 0)
        tape = await Tape.objects.aget()
        add_trades(exchange, MINUTE_US - 1)
        await sync_to_async(save_spans)(tape.pk, [Span(begin - MINUTE_US, begin - 1)])
        assert (await run(COINBASE, exchange))[1] == 1
    assert await sync_to_async(stored_minutes)(Origin.RECORDED) == []
    tape = await Tape.objects.aget()
    assert (tape.past_version, tape.minutes_fetched_to) == (2, begin)


async def test_a_day_that_lacks_trades_is_fetched_when_it_is_over():
    with CoinbaseExchange(["BTC/USD"], clock=lambda: NOW / 1e6) as exchange:
        add_trades(exchange, DAY_US)
        await run(COINBASE, exchange)
        await sync_to_async(record_day)("BTC/USD", NOW)
        tape = await Tape.objects.aget()
        await sync_to_async(save_spans)(tape.pk, [Span(NOW, NOW + 5)])
        assert (await run(COINBASE, exchange)).days == 0
        add_trades(exchange, 0)
        assert (await run(COINBASE, exchange, NOW + DAY_US)).days >= 1
        async with open_backfill(COINBASE, exchange) as backfill:
            assert backfill.seconds_of_day_left() == (DAY_US - NOW % DAY_US) / 1e6
    assert await sync_to_async(stored_days)(Origin.RECORDED) == []


def record_day(symbol: str, at: int) -> None:
    """Records a day of five trades from `at` on."""
    archive = BarArchive()
    [symbol_bars] = archive.load_symbols({symbol: -1}, {symbol: "coinbase"})
    bar = Bar(UTC_DAYS.day_at(at))
    for number in range(5):
        bar.add(Update(symbol, 7.0, at + number, number, 0.5))
    archive.save([], [(symbol_bars, [bar])])


def record(symbol: str, trades: int) -> None:
    """Records this number of trades of the size 0.5, of the minute before NOW."""
    archive = BarArchive()
    [symbol_bars] = archive.load_symbols({symbol: -1}, {symbol: "coinbase"})
    bar = Bar(NOW // MINUTE_US - 1)
    for number in range(trades):
        bar.add(Update(symbol, 7.0, bar.start * MINUTE_US + number, number, 0.5))
    archive.save([(symbol_bars, [bar])], [])


@pytest.mark.parametrize(("trades", "origin"), [(3, Origin.RECORDED), (2, Origin.FETCHED)])
async def test_the_bar_of_the_source_replaces_a_recorded_bar_that_lacks_a_trade(trades: int, origin: Origin):
    await sync_to_async(record)("BTC/USD", trades)
    with CoinbaseExchange(["BTC/USD"], clock=lambda: NOW / 1e6) as exchange:
        add_trades(exchange, MINUTE_US - 1, MINUTE_US - 2, MINUTE_US - 3)
        await run(COINBASE, exchange)
    assert (await MinuteBar.objects.aget()).origin == origin
