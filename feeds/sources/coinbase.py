"""Speaks the WebSocket protocol of Coinbase Exchange, without a key.

Pure. The product `BTC-USD` is our symbol `BTC/USD`. The trade ids of a product grow by one, so the ids also serve as
sequence numbers. If Coinbase refuses a request for several products, the adapter sends smaller requests.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import msgspec

from feeds.sources.adapter import Credentials, Source
from feeds.sources.decoding import (
    Number,
    SequenceNumber,
    decode,
    decode_parts,
    make_numbered_trade,
    printable,
    read_number,
    read_time,
)
from feeds.sources.events import (
    BestPrices,
    Event,
    Failure,
    Heartbeat,
    LatestSequence,
    Ready,
    SymbolRefused,
    SymbolState,
)
from feeds.sources.history.coinbase import CoinbaseHistory, is_traded
from feeds.sources.routes import Routes, chunks
from feeds.symbols import is_symbol

CHUNK = 50
"""The greatest number of products in one request. Such a request has about 2.5 KiB."""

CHANNELS = ("matches", "ticker", "heartbeat")
WAIT_AFTER_ERROR = 30.0
REFUSED = "failed to subscribe"


class _Kind(msgspec.Struct, gc=False):
    type: str = ""


class _Match(msgspec.Struct, gc=False):
    product_id: str
    trade_id: SequenceNumber
    price: Number
    size: Number
    time: str


class _LastMatch(_Match, gc=False):
    """A message with the newest trade before the subscription."""


class _Ticker(msgspec.Struct, gc=False):
    product_id: str
    best_bid: Number | None = None
    best_ask: Number | None = None
    time: str | None = None


class _Beat(msgspec.Struct, gc=False):
    product_id: str
    last_trade_id: SequenceNumber = 0


class _Channel(msgspec.Struct, gc=False):
    name: str = ""
    product_ids: list[str] | None = None


class _Subscriptions(msgspec.Struct, gc=False):
    channels: list[_Channel] = []


class _Product(msgspec.Struct, gc=False):
    id: str = ""
    status: str | None = None
    cancel_only: bool = False
    post_only: bool = False


class _Status(msgspec.Struct, gc=False):
    products: msgspec.Raw = msgspec.Raw(b"[]")


class _Error(msgspec.Struct, gc=False):
    message: str | None = None
    reason: str | None = None


_products = msgspec.json.Decoder(_Product)
_kinds = msgspec.json.Decoder(_Kind)
_decoders: dict[str, msgspec.json.Decoder[Any]] = {
    "match": msgspec.json.Decoder(_Match),
    "last_match": msgspec.json.Decoder(_LastMatch),
    "ticker": msgspec.json.Decoder(_Ticker),
    "heartbeat": msgspec.json.Decoder(_Beat),
    "subscriptions": msgspec.json.Decoder(_Subscriptions),
    "status": msgspec.json.Decoder(_Status),
    "error": msgspec.json.Decoder(_Error),
}


class CoinbaseAdapter:
    """Speaks Coinbase's protocol on one connection."""

    def __init__(self) -> None:
        self._routes = Routes()
        self._is_ready = False
        self._waiting: list[tuple[str, ...]] = []
        """The products of each request that Coinbase has not acknowledged yet, in the order of sending."""
        self._replies: list[str] = []
        self._readers: dict[type, Callable[[Any], list[Event]]] = {
            _Match: self._read_match,
            _LastMatch: self._read_match,
            _Ticker: self._read_ticker,
            _Beat: self._read_beat,
            _Subscriptions: self._read_subscriptions,
            _Status: self._read_status,
            _Error: self._read_error,
        }

    def open(self) -> Sequence[str]:
        # Coinbase closes a connection that has no subscription 5 s after its start.
        return [_encode({"type": "subscribe", "channels": [{"name": "status"}]})]

    def subscribe(self, natives: Collection[str]) -> Sequence[str]:
        self._routes.ask(natives)
        return [self._subscribe(chunk) for chunk in chunks(natives, CHUNK)]

    def unsubscribe(self, natives: Collection[str]) -> Sequence[str]:
        self._routes.drop(natives)
        self._keep_waiting(lambda native: native not in natives)
        return [_request("unsubscribe", chunk) for chunk in chunks(natives, CHUNK)]

    def receive(self, message: str | bytes) -> Sequence[Event]:
        decoder = _decoders.get(decode(_kinds, message).type)
        if decoder is None:
            return [Heartbeat()]
        received = decode(decoder, message)
        return self._readers[type(received)](received) or [Heartbeat()]

    def replies(self) -> Sequence[str]:
        replies, self._replies = self._replies, []
        return replies

    def _subscribe(self, chunk: tuple[str, ...]) -> str:
        self._waiting.append(chunk)
        return _request("subscribe", chunk)

    def _keep_waiting(self, is_kept: Callable[[str], bool]) -> None:
        """Removes from `_waiting` the products for which `is_kept` returns False."""
        kept = (tuple(filter(is_kept, chunk)) for chunk in self._waiting)
        self._waiting = [chunk for chunk in kept if chunk]

    def _read_match(self, match: _Match) -> list[Event]:
        if not self._routes.is_acknowledged(match.product_id):
            return []
        native, number, timestamp = match.product_id, match.trade_id, read_time(match.time)
        return [make_numbered_trade(native, number, match.price, match.size, timestamp, isinstance(match, _LastMatch))]

    def _read_ticker(self, ticker: _Ticker) -> list[Event]:
        bid, ask = read_number(ticker.best_bid or 0), read_number(ticker.best_ask or 0)
        timestamp = read_time(ticker.time) if ticker.time else 0
        is_routed = self._routes.is_acknowledged(ticker.product_id)
        return [BestPrices(ticker.product_id, bid, ask, timestamp)] if is_routed and bid and ask else []

    def _read_beat(self, beat: _Beat) -> list[Event]:
        """Reads a heartbeat. Ignores a last trade id of 0."""
        # Coinbase once sent 0 for months.
        if not beat.last_trade_id or not self._routes.is_acknowledged(beat.product_id):
            return []
        return [Heartbeat(), LatestSequence(beat.product_id, beat.last_trade_id)]

    def _read_subscriptions(self, subscriptions: _Subscriptions) -> list[Event]:
        """Reads Coinbase's list of all subscriptions. Returns events for the products that were not listed before."""
        events: list[Event] = [] if self._is_ready else [Ready()]
        self._is_ready = True
        natives = {
            native for each in subscriptions.channels if each.name == "matches" for native in each.product_ids or ()
        }
        events += self._routes.acknowledge(sorted(native for native in natives if not self._is_acknowledged(native)))
        self._keep_waiting(lambda native: not self._is_acknowledged(native))
        return events

    def _is_acknowledged(self, native: str) -> bool:
        return self._routes.is_acknowledged(native)

    def _read_status(self, status: _Status) -> list[Event]:
        return decode_parts(_products, status.products, self._read_product)

    def _read_product(self, product: _Product) -> list[Event]:
        is_open = is_traded(product.status, product.cancel_only, product.post_only)
        return self._routes.set_state(product.id, SymbolState.TRADING if is_open else SymbolState.HALTED)

    def _read_error(self, error: _Error) -> list[Event]:
        message, reason = printable(error.message or ""), printable(error.reason or "")
        if not message.lower().startswith(REFUSED) or not self._waiting:
            return [Failure(f"{message}: {reason}" if reason else message or "no reason", wait=WAIT_AFTER_ERROR)]
        words = {word.strip("\"',.:;") for word in reason.split()}
        chunk = next((chunk for chunk in self._waiting if words.intersection(chunk)), None)
        if chunk is None:
            return self._divide(self._waiting[0], reason)
        named = words.intersection(chunk)
        self._send_again(chunk, [tuple(native for native in chunk if native not in named)])
        return [SymbolRefused(native, reason) for native in sorted(named)]

    def _divide(self, chunk: tuple[str, ...], reason: str) -> list[Event]:
        """Requests the two halves of a refused chunk again.

        If the chunk has only one product, returns a SymbolRefused event.
        """
        if len(chunk) == 1:
            self._waiting.remove(chunk)
            return [SymbolRefused(chunk[0], reason or "no reason")]
        half = len(chunk) // 2
        self._send_again(chunk, [chunk[:half], chunk[half:]])
        return []

    def _send_again(self, chunk: tuple[str, ...], parts: Iterable[tuple[str, ...]]) -> None:
        self._waiting.remove(chunk)
        self._replies += [self._subscribe(part) for part in parts if part]


def _request(kind: str, natives: Collection[str]) -> str:
    products = list(natives)
    return _encode({"type": kind, "channels": [{"name": name, "product_ids": products} for name in CHANNELS]})


def _encode(message: dict[str, object]) -> str:
    return msgspec.json.encode(message).decode()


def to_native(symbol: str) -> str:
    """Returns the product of a symbol: `BTC-USD` for `BTC/USD`."""
    return symbol.replace("/", "-")


def to_symbol(native: str) -> str | None:
    """Returns the symbol of a product: `BTC/USD` for `BTC-USD`. Returns None if the symbol is not valid."""
    symbol = native.replace("-", "/")
    return symbol if native.count("-") == 1 and "/" not in native and is_symbol(symbol) else None


def _make_adapter(_credentials: Credentials) -> CoinbaseAdapter:
    return CoinbaseAdapter()


COINBASE = Source(
    name="coinbase",
    title="Coinbase Exchange",
    url="wss://ws-feed.exchange.coinbase.com",
    rest_url="https://api.exchange.coinbase.com",
    make_adapter=_make_adapter,
    history=CoinbaseHistory(),
    to_native=to_native,
    to_symbol=to_symbol,
    silent_seconds=5.0,
    send_interval=0.15,
    rest_interval=0.2,
)
