import asyncio
from collections.abc import AsyncIterator, Callable
from random import Random

import pytest

from feeds.feeder.backfills import Backfills
from feeds.models import Tape
from feeds.sources.coinbase import COINBASE
from tests.exchanges.coinbase import CoinbaseExchange
from tests.support.history.exchange_bars import MINUTE_US, NOW, add_trades, open_backfill
from tests.support.waiting import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("closed_connections")]


@pytest.fixture
async def exchange() -> AsyncIterator[CoinbaseExchange]:
    with CoinbaseExchange(["BTC/USD", "ETH/USD"], clock=lambda: NOW / 1e6) as exchange:
        add_trades(exchange, 5 * MINUTE_US)
        add_trades(exchange, 6 * MINUTE_US, symbol="ETH/USD")
        yield exchange


async def run_until(backfills: Backfills, condition: Callable[[], object]) -> None:
    task = asyncio.create_task(backfills.run())
    await until(condition)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def completed() -> set[str]:
    return {tape.symbol async for tape in Tape.objects.filter(has_past=True)}


async def test_the_bars_of_all_symbols_are_fetched(exchange: CoinbaseExchange, caplog: pytest.LogCaptureFixture):
    async with open_backfill(COINBASE, exchange) as backfill:
        backfills = Backfills("coinbase", backfill, Random(1))
        for symbol, native in [("BTC/USD", "BTC-USD"), ("ETH/USD", "ETH-USD"), ("ETH/USD", "ETH-USD")]:
            backfills.add(symbol, native)
        await run_until(backfills, lambda: caplog.text.count("bars fetched") == 2)
    assert await completed() == {"BTC/USD", "ETH/USD"}


async def test_the_bars_of_a_symbol_that_lost_trades_are_fetched_when_minute_and_day_are_over(
    exchange: CoinbaseExchange, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("feeds.feeder.backfills.REPAIR_SECONDS", 0.01)
    async with open_backfill(COINBASE, exchange) as backfill:
        monkeypatch.setattr(backfill, "seconds_of_day_left", lambda: 0.2)
        backfills = Backfills("coinbase", backfill, Random(1))
        for _ in range(3):
            backfills.add_later("BTC/USD", "BTC-USD")
        assert len(backfills._timers) == 2
        await run_until(backfills, lambda: caplog.text.count("bars fetched") == 2)
        assert backfills._timers == {}


async def test_a_feeder_that_ends_fetches_nothing_later(exchange: CoinbaseExchange, caplog: pytest.LogCaptureFixture):
    async with open_backfill(COINBASE, exchange) as backfill:
        backfills = Backfills("coinbase", backfill, Random(1))
        backfills.add_later("BTC/USD", "BTC-USD")
        backfills.add("BTC/USD", "BTC-USD")
        timers = list(backfills._timers.values())
        await run_until(backfills, lambda: "bars fetched" in caplog.text)
        assert [timer.cancelled() for timer in timers] == [True, True]


async def test_a_failed_symbol_is_fetched_again(exchange: CoinbaseExchange, caplog: pytest.LogCaptureFixture):
    exchange.set_fault("requests_fail")
    async with open_backfill(COINBASE, exchange) as backfill:
        backfills = Backfills("coinbase", backfill, Random(1), first_pause=0.001)
        backfills.add("BTC/USD", "BTC-USD")
        await run_until(backfills, lambda: len(exchange.requests) >= 3)
        exchange.clear_fault("requests_fail")
        backfills.add("BTC/USD", "BTC-USD")
        await run_until(backfills, lambda: "bars fetched" in caplog.text)
    assert await completed() == {"BTC/USD"}


async def test_a_symbol_that_always_fails_is_given_up_with_one_line(
    exchange: CoinbaseExchange, caplog: pytest.LogCaptureFixture
):
    exchange.set_fault("requests_fail")
    async with open_backfill(COINBASE, exchange) as backfill:
        backfills = Backfills("coinbase", backfill, Random(1), first_pause=0.0001)
        backfills.add("BTC/USD", "BTC-USD")
        await run_until(backfills, lambda: "bars cannot be fetched" in caplog.text)
    assert len(exchange.requests) == 8
    assert await completed() == set()


async def test_a_source_that_refuses_this_country_is_asked_once(
    exchange: CoinbaseExchange, caplog: pytest.LogCaptureFixture
):
    exchange.set_fault("country_refused")
    async with open_backfill(COINBASE, exchange) as backfill:
        backfills = Backfills("coinbase", backfill, Random(1))
        backfills.add("BTC/USD", "BTC-USD")
        await run_until(backfills, lambda: "bars cannot be fetched" in caplog.text)
    assert len(exchange.requests) == 1
