"""The fake exchanges with their sources, for tests that hold for several of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from feeds.sources.adapter import Credentials, Request, Source
from feeds.sources.alpaca import alpaca_source
from feeds.sources.binance import BINANCE
from feeds.sources.coinbase import COINBASE
from feeds.sources.events import Trade
from feeds.sources.kraken import KRAKEN
from tests.exchanges.alpaca import AlpacaExchange
from tests.exchanges.binance import BinanceExchange
from tests.exchanges.coinbase import CoinbaseExchange
from tests.exchanges.kraken import KrakenExchange
from tests.exchanges.ledger import LedgerTrade
from tests.exchanges.server import Exchange
from tests.exchanges.session import Session, get

FIRST, SECOND = "BTC/USDT", "ETH/USDT"
NOW = 1_800_000_000
AT = NOW * 1_000_000


@dataclass(frozen=True)
class Vendor:
    """A fake exchange and the source that connects to it. `is_numbered` says whether trade ids are sequences."""

    make_exchange: Callable[..., Exchange]
    source: Source
    is_numbered: bool
    credentials: Credentials = field(default_factory=Credentials)

    def expected(self, trades: Sequence[LedgerTrade], *, past: bool = False) -> list[Trade]:
        """Returns the events that an adapter makes from these ledger trades."""
        return [self._event(trade, past) for trade in trades]

    def session(self, exchange: Exchange) -> Session:
        return Session(self.source, exchange, self.credentials)

    def get(self, exchange: Exchange, request: Request) -> tuple[int, bytes]:
        """Sends a request with the credentials. Returns the status and the body of the response."""
        headers = {**request.headers, **self.source.make_headers(self.credentials)}
        return get(exchange, Request(request.path, request.parameters, headers))

    def fetch_trades(self, exchange: Exchange, after: Trade, until: Trade) -> list[Trade]:
        """Returns the trades in the history between two trades, in the order of the pages."""
        history, trades = self.source.history, list[Trade]()
        request = history.trades(until.native, after, until)
        while request is not None:
            _, body = self.get(exchange, request)
            page, request = history.read_trades(until.native, request, body, after, until)
            trades += page
        return trades

    def _event(self, trade: LedgerTrade, past: bool) -> Trade:
        native, number = self.source.to_native(trade.symbol), trade.sequence
        price, size, timestamp = float(trade.price), float(trade.size), trade.timestamp
        if self.is_numbered:
            return Trade(native, price, size, timestamp, str(number), number, past)
        return Trade(native, price, size, timestamp, f"V:{number}:{timestamp}", past=past)


VENDORS = {
    "kraken": Vendor(KrakenExchange, KRAKEN, is_numbered=True),
    "coinbase": Vendor(CoinbaseExchange, COINBASE, is_numbered=True),
    "binance": Vendor(BinanceExchange, BINANCE, is_numbered=True),
    "alpaca": Vendor(AlpacaExchange, alpaca_source("iex"), False, Credentials("test-key", "test-secret")),
}
