"""Missed trades whose requests fail."""

from collections.abc import Iterator

import pytest

from feeds.feeder import missed_trades
from feeds.records import Span, read_missed
from tests.exchanges.alpaca import AlpacaExchange
from tests.exchanges.kraken import KrakenExchange
from tests.support.feeder.source import FedSource
from tests.support.waiting import until

SYMBOL = "BTC/USD"


@pytest.fixture
def exchange() -> Iterator[KrakenExchange]:
    with KrakenExchange([SYMBOL], heartbeat_seconds=0.05) as exchange:
        yield exchange


@pytest.fixture(autouse=True)
def short_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(missed_trades, "MAX_RETRY_SECONDS", 0.01)


async def miss_trades(fed: FedSource, exchange: KrakenExchange) -> None:
    """Makes three trades that are not sent, and one that shows it."""
    await fed.wait_subscribed()
    exchange.trade(SYMBOL, "100")
    await until(fed.has_all)
    for price in ("101", "102", "103"):
        exchange.trade(SYMBOL, price, sent=False)
    exchange.trade(SYMBOL, "104")


def missed_spans(fed: FedSource) -> list[Span]:
    """Returns the missed spans that the records of the topic name."""
    return [span for _, _, headers in fed.topic.records for span in read_missed(headers)]


async def test_requests_that_fail_are_repeated(exchange: KrakenExchange):
    exchange.set_fault("requests_fail")
    async with FedSource(exchange) as fed:
        await miss_trades(fed, exchange)
        await until(lambda: len([each for each in exchange.requests if each.path.endswith("Trades")]) >= 2)
        exchange.clear_fault("requests_fail")
        await fed.wait_for_ledger()


async def test_trades_that_cannot_be_fetched_are_counted_as_lost(
    exchange: KrakenExchange, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(missed_trades, "MAX_ATTEMPTS", 2)
    exchange.set_fault("requests_fail")
    async with FedSource(exchange) as fed:
        await miss_trades(fed, exchange)
        await until(lambda: fed.feed._counts.unfilled == 3)
        await until(lambda: fed.topic.counts[SYMBOL] == 2)
        assert [update["price"] for update in fed.topic.updates(SYMBOL)] == [100.0, 104.0]
        await until(lambda: exchange.trade(SYMBOL, "105") and missed_spans(fed))
        before, after = (exchange.ledger.trades(SYMBOL)[number].timestamp for number in (0, 4))
        assert missed_spans(fed) == [(before, after)]
        assert fed.feed.take_incomplete() == {}  # nothing fetches bars here, so the source has taken them


async def test_a_permanent_failure_is_not_repeated(exchange: KrakenExchange):
    async with FedSource(exchange) as fed:
        await fed.wait_subscribed()
        exchange.trade(SYMBOL, "100")
        await until(fed.has_all)
        exchange.set_fault("country_refused")
        exchange.trade(SYMBOL, "101", sent=False)
        exchange.trade(SYMBOL, "102")
        await until(lambda: fed.feed._counts.unfilled == 1)
        assert len([each for each in exchange.requests if each.path.endswith("Trades")]) == 1


async def test_trades_beyond_the_last_page_are_lost(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(missed_trades, "MAX_PAGES", 0)
    with AlpacaExchange(["AAPL"], heartbeat_seconds=0.05) as exchange:
        async with FedSource(exchange) as fed:
            await fed.wait_subscribed()
            exchange.trade("AAPL", "100")
            await until(fed.has_all)
            exchange.trade("AAPL", "101", sent=False)
            exchange.cut()
            await fed.wait_subscribed()
            exchange.trade("AAPL", "102")
            await until(lambda: exchange.trade("AAPL", "103") and missed_spans(fed))
            times = [trade.timestamp for trade in exchange.ledger.trades("AAPL")]
            ((first, last),) = missed_spans(fed)
            assert first == times[0]
            assert last in times[2:]  # the first trade on the new connection
