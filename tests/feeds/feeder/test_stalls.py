"""What happens to trades while Kafka does not acknowledge updates."""

from collections.abc import Iterator

import pytest

from feeds.feeder import publisher
from feeds.feeder.trades.backlog import Backlog
from tests.exchanges.market import RandomMarket
from tests.exchanges.server import Exchange
from tests.support.feeder.source import VENDORS, FedSource
from tests.support.waiting import until


@pytest.fixture(params=VENDORS)
def exchange(request: pytest.FixtureRequest) -> Iterator[Exchange]:
    make_exchange, _source, symbols = VENDORS[request.param]
    with make_exchange(symbols, heartbeat_seconds=0.05) as exchange:
        yield exchange


@pytest.fixture(autouse=True)
def few_unacknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "MAX_UNACKNOWLEDGED", 10)
    monkeypatch.setattr(publisher, "STALL_SECONDS", 0.0)


async def begin(fed: FedSource) -> None:
    await fed.wait_subscribed()
    for symbol in fed.exchange.symbols:
        fed.exchange.trade(symbol, "100")
    await until(fed.has_all)


async def test_after_a_stall_the_newest_prices_come_first_and_nothing_is_lost(exchange: Exchange):
    async with FedSource(exchange) as fed:
        await begin(fed)
        fed.topic.is_stalled = True
        RandomMarket(exchange).trade(400)
        newest = {symbol: exchange.trade(symbol, "105") for symbol in exchange.symbols}
        await until(lambda: len(fed.publisher._backlog) + len(fed.topic.records) == exchange.ledger.count)
        await until(lambda: fed.publisher._stalled_since is not None)  # a call of `pump` has found the stall
        sent = len(fed.topic.records)
        fed.topic.is_stalled = False
        await fed.wait_for_ledger()

        first = fed.topic.records[sent:][: len(newest)]
        prices = {symbol: value for symbol, value, _ in first}
        assert all(b'"price":105.0' in prices[symbol] for symbol in newest)


async def test_what_was_merged_during_a_long_stall_is_fetched_afterwards(exchange: Exchange):
    async with FedSource(exchange, backlog=Backlog(50)) as fed:
        await begin(fed)
        fed.topic.is_stalled = True
        RandomMarket(exchange).trade(400)
        await until(lambda: fed.feed._counts.merged > 100)
        for symbol in exchange.symbols:
            exchange.trade(symbol, "106")
        fed.topic.is_stalled = False
        await fed.wait_for_ledger()
        assert len(fed.publisher._backlog) == 0


async def test_after_a_lost_update_the_topic_is_read_again_and_nothing_is_lost(exchange: Exchange):
    async with FedSource(exchange) as fed:
        await begin(fed)
        RandomMarket(exchange).trade(100)
        await fed.wait_for_ledger()
        for symbol, value, headers in fed.topic.records[-20:]:
            fed.topic.records.remove((symbol, value, headers))
            fed.topic.counts[symbol] -= 1
        ends = fed.topic.read_ends(exchange.symbols)
        fed.feed.close(exchange.symbols)
        for symbol in exchange.symbols:
            fed.feed.open(symbol, fed.source.to_native(symbol), ends[symbol])
            exchange.trade(symbol, "107")
        await fed.wait_for_ledger()
