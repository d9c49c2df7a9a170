"""Runs one source of the feeder with a fake exchange. A list replaces Kafka."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from random import Random
from typing import Self

from msgspec.structs import replace

from feeds.feeder.network.connection import Endpoint
from feeds.feeder.publisher import Publisher
from feeds.feeder.running_source import ConnectedSource
from feeds.feeder.trades.backlog import Backlog
from feeds.kafka.symbol_ends import SymbolEnds
from feeds.retry import Outage
from feeds.sources.adapter import Credentials, Market, Source
from feeds.sources.alpaca import alpaca_source
from feeds.sources.binance import BINANCE
from feeds.sources.coinbase import COINBASE
from feeds.sources.kraken import KRAKEN
from feeds.wire import decode
from tests.exchanges.alpaca import AlpacaExchange
from tests.exchanges.binance import BinanceExchange
from tests.exchanges.coinbase import CoinbaseExchange
from tests.exchanges.kraken import KrakenExchange
from tests.exchanges.server import Exchange
from tests.support.waiting import until

VENDORS: Mapping[str, tuple[Callable[..., Exchange], Source, tuple[str, str]]] = {
    "kraken": (KrakenExchange, KRAKEN, ("BTC/USD", "ETH/USD")),
    "coinbase": (CoinbaseExchange, COINBASE, ("BTC/USD", "ETH/USD")),
    "binance": (BinanceExchange, BINANCE, ("BTC/USDT", "ETH/USDT")),
    "alpaca": (AlpacaExchange, alpaca_source("iex"), ("AAPL", "MSFT")),
}
KEY = Credentials("test-key", "test-secret")


class TopicList:
    """A producer that keeps the records in a list. While `is_stalled` is True, no record is acknowledged."""

    def __init__(self) -> None:
        self.outage = Outage("Kafka")
        self.failed: Counter[str] = Counter()
        self.records: list[tuple[str, bytes, list[tuple[str, str | bytes | None]]]] = []
        self.counts: Counter[str] = Counter()
        self.is_stalled = False
        self.polls = 0
        self._acknowledged = 0

    @property
    def delivered(self) -> int:
        self.poll()
        return self._acknowledged

    @property
    def unacknowledged(self) -> int:
        return len(self.records) - self._acknowledged

    def send(self, symbol: str, value: bytes, headers: list[tuple[str, str | bytes | None]]) -> None:
        self.records.append((symbol, value, headers))
        self.counts[symbol] += 1

    def poll(self, _timeout: float = 0.0) -> None:
        self.polls += 1
        if not self.is_stalled:
            self._acknowledged = len(self.records)

    def barrier(self) -> Callable[[], bool]:
        count = len(self.records)
        return lambda: self._acknowledged >= count

    def log_failures(self) -> None: ...

    def updates(self, symbol: str) -> list[dict]:
        """Returns the updates of a symbol. Each update also has the id of the trade."""
        return [
            json.loads(value) | {"id": dict(headers)["id"]} for name, value, headers in self.records if name == symbol
        ]

    def read_ends(self, symbols: Collection[str]):
        ends = SymbolEnds()
        for symbol, value, headers in self.records:
            if symbol in symbols:
                ends.add(decode(value), dict(headers))
        return ends.finish()


class FedSource:
    """A source that reads from a fake exchange inside an `async with` block.

    `changes` replaces attributes of the source. The source makes no pause between requests or messages.
    """

    def __init__(
        self, exchange: Exchange, topic: TopicList | None = None, backlog: Backlog | None = None, **changes
    ) -> None:
        _, source, _ = VENDORS[exchange.name]
        pace = {"send_interval": 0.0, "rest_interval": 0.0, "silent_seconds": 60.0, "market": Market.ALWAYS}
        self.source = replace(source, **pace | changes)
        self.exchange = exchange
        self.topic = TopicList() if topic is None else topic
        self.publisher = Publisher(self.topic, lambda symbol, trades: self.feed.note_merged(symbol, trades), backlog)
        limits = {"acknowledgement_seconds": 0.5, "start_seconds": 1.0}
        endpoint = Endpoint(exchange.url, KEY, **limits)
        self.running = ConnectedSource(self.source, endpoint, exchange.rest_url, self.publisher, Random(1))
        self.feed = self.running.feed

    async def __aenter__(self) -> Self:
        ends = self.topic.read_ends(self.exchange.symbols)
        for symbol in self.exchange.symbols:
            self.feed.open(symbol, self.source.to_native(symbol), ends.get(symbol))
        self._tasks = [asyncio.create_task(self.running.run()), asyncio.create_task(self._tick())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _tick(self) -> None:
        while True:
            self.running.update_natives()
            self.running.check()
            self.publisher.resume()  # no other process can have taken the symbols during a pause of this process
            self.publisher.pump()
            await asyncio.sleep(0.01)

    @property
    def state(self) -> str:
        return self.feed.state.state.value

    def has_all(self) -> bool:
        """Returns whether the topic has as many updates of each symbol as the ledger has trades."""
        ledger, counts = self.exchange.ledger, self.topic.counts
        return all(counts[symbol] >= len(ledger.trades(symbol)) for symbol in self.exchange.symbols)

    async def wait_subscribed(self) -> None:
        """Waits until one connection is subscribed to all symbols."""
        channel, symbols = self.exchange.trade_channel, set(self.exchange.symbols)
        await until(lambda: any(client.subscribed(channel) >= symbols for client in list(self.exchange.clients)))

    async def wait_for_ledger(self) -> None:
        """Waits until the topic has all trades of the exchange's ledger.

        Asserts that each trade occurs in the topic once, with equal values. Asserts that the seq_ids have no gaps.
        """
        await until(self.has_all, what="the topic with all trades")
        for symbol in self.exchange.symbols:
            rows = sorted((each["timestamp"], each["price"], each["size"]) for each in self.topic.updates(symbol))
            trades = self.exchange.ledger.trades(symbol)
            assert rows == sorted((each.timestamp, float(each.price), float(each.size)) for each in trades)
            numbers = [each["seq_id"] for each in self.topic.updates(symbol)]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
