"""Speaks the WebSocket protocol of Binance spot.

Pure: no I/O. https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams describes the protocol.
Binance also acknowledges symbols that do not exist. `BinanceHistory` reads the list of existing symbols.
"""

from collections.abc import Callable, Collection, Sequence

import msgspec

from feeds.sources.adapter import Credentials, Source
from feeds.sources.decoding import SequenceNumber, decode, make_numbered_trade, printable, read_number
from feeds.sources.events import (
    BestPrices,
    Event,
    Failure,
    GoingAway,
    Heartbeat,
    Ready,
    Subscribed,
    SymbolRefused,
    Trade,
)
from feeds.sources.history.binance import BinanceHistory, read_timestamp
from feeds.sources.routes import chunks
from feeds.symbols import is_symbol

MAX_SYMBOLS = (1024 - 1) // 2
"""The greatest number of symbols of one connection.

A connection has at most 1,024 streams. Each symbol needs two streams, and LIVENESS_STREAM needs one.
"""

CHUNK = 50
"""The greatest number of symbols in one request. Longer requests reach 4 KiB, which is the limit of some servers."""

LIVENESS_STREAM = "btcusdt@miniTicker"
"""A stream with a message every second, which shows that the connection is alive."""

QUOTE_ASSETS = (
    *("FDUSD", "USDT", "USDC", "TUSD", "USD1", "EURI", "DOGE", "BTC", "ETH", "BNB", "EUR", "TRY", "BRL", "JPY", "PLN"),
    *("MXN", "ARS", "ZAR", "UAH", "RON", "CZK", "COP", "AUD", "GBP", "IDR", "DAI", "XRP", "SOL", "TRX"),
)
"""The possible second halves of native symbols, such as `USDT` in `BTCUSDT`. Longer names come first."""

TERMS = "Binance's terms of use allow its prices for personal use; ask Binance before any commercial use"


class _Error(msgspec.Struct):
    code: int = 0
    msg: str = ""


class _Message(msgspec.Struct):
    """Any message of Binance.

    A message with prices has `stream` and `data`. An answer to a request has `id`. A notice has `event`.
    """

    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")
    id: int | str | None = None
    code: int | None = None
    msg: str = ""
    error: _Error | None = None
    event: str = msgspec.field(default="", name="e")


class _Trade(msgspec.Struct):
    symbol: str = msgspec.field(name="s")
    id: SequenceNumber = msgspec.field(name="t")
    price: str = msgspec.field(name="p")
    size: str = msgspec.field(name="q")
    time: int = msgspec.field(name="T")


class _BookTicker(msgspec.Struct):
    symbol: str = msgspec.field(name="s")
    bid: str = msgspec.field(name="b")
    ask: str = msgspec.field(name="a")


class _OtherData(msgspec.Struct):
    event: str = msgspec.field(default="", name="e")


_MESSAGE = msgspec.json.Decoder(_Message)
_TRADE = msgspec.json.Decoder(_Trade)
_BOOK_TICKER = msgspec.json.Decoder(_BookTicker)
_OTHER_DATA = msgspec.json.Decoder(_OtherData)


class BinanceAdapter:
    """Speaks Binance's protocol on one connection.

    `_answers` has an item for each unanswered request. A key is the id of the request. A value is the event that
    `receive` returns if the request succeeds. `_refused` holds the symbols that the next call of `receive` reports as
    refused.
    """

    def __init__(self, _credentials: Credentials) -> None:
        self._last_id = 0
        self._answers: dict[int | str | None, Event] = {}
        self._wanted: set[str] = set()
        self._acknowledged: set[str] = set()
        self._refused: list[SymbolRefused] = []

    def open(self) -> Sequence[str]:
        return [self._request("SUBSCRIBE", [LIVENESS_STREAM], Ready())]

    def subscribe(self, natives: Collection[str]) -> Sequence[str]:
        """Returns requests of at most CHUNK symbols each.

        The next call of `receive` reports the symbols that cannot be requested.
        """
        accepted = [native for native in natives if self._accepts(native)]
        return [self._request("SUBSCRIBE", _streams(chunk), Subscribed(chunk)) for chunk in chunks(accepted, CHUNK)]

    def unsubscribe(self, natives: Collection[str]) -> Sequence[str]:
        known = [native for native in natives if native in self._wanted]
        self._wanted.difference_update(known)
        self._acknowledged.difference_update(known)
        return [self._request("UNSUBSCRIBE", _streams(chunk), Heartbeat()) for chunk in chunks(known, CHUNK)]

    def receive(self, message: str | bytes) -> Sequence[Event]:
        events = self._read(decode(_MESSAGE, message))
        if self._refused:
            events, self._refused = [*self._refused, *events], []
        return events

    def replies(self) -> Sequence[str]:
        return ()

    def _accepts(self, native: str) -> bool:
        if not (native.isascii() and native.isalnum() and native.isupper()):
            self._refused.append(SymbolRefused(native, "Binance's symbols have only the characters A-Z and 0-9 here"))
        elif len(self._wanted) >= MAX_SYMBOLS and native not in self._wanted:
            self._refused.append(SymbolRefused(native, f"a connection takes at most {MAX_SYMBOLS} symbols"))
        else:
            self._wanted.add(native)
            return True
        return False

    def _request(self, method: str, streams: Sequence[str], answer: Event) -> str:
        self._last_id += 1
        self._answers[self._last_id] = answer
        return msgspec.json.encode({"method": method, "params": streams, "id": self._last_id}).decode()

    def _read(self, message: _Message) -> list[Event]:
        if message.stream:
            return [self._read_stream(message.stream, message.data)]
        if message.code is not None or message.error is not None:
            error = message.error or _Error(message.code or 0, message.msg)
            return self._fail(message.id, f"Binance says: {printable(error.msg)} (code {error.code})")
        if message.event:
            return [_read_other(message.event)]
        return self._acknowledge(message.id)

    def _read_stream(self, stream: str, data: msgspec.Raw) -> Event:
        reader = _READERS.get(stream.partition("@")[2])
        if reader is None:
            return _read_other(decode(_OTHER_DATA, data).event)
        event = reader(data)
        # A message may arrive after its subscription has ended. Its symbol is not wanted any more.
        return event if event is not None and event.native in self._acknowledged else Heartbeat()

    def _acknowledge(self, request_id: int | str | None) -> list[Event]:
        event = self._answers.pop(request_id, Heartbeat())
        if isinstance(event, Subscribed):
            self._acknowledged.update(self._wanted.intersection(event.natives))
        return [event]

    def _fail(self, request_id: int | str | None, reason: str) -> list[Event]:
        event = self._answers.pop(request_id, None)
        if isinstance(event, Heartbeat):  # an unsubscription failed: the symbol is ignored already
            return [event]
        if isinstance(event, Subscribed):
            self._wanted.difference_update(event.natives)
            return [SymbolRefused(native, reason) for native in event.natives]
        return [Failure(reason)]


def _streams(natives: Sequence[str]) -> list[str]:
    return [f"{native.lower()}@{kind}" for native in natives for kind in _READERS]


def _read_trade(data: msgspec.Raw) -> Trade:
    row = decode(_TRADE, data)
    return make_numbered_trade(row.symbol, row.id, row.price, row.size, read_timestamp(row.time))


def _read_best_prices(data: msgspec.Raw) -> BestPrices | None:
    """Returns the best prices without a time, or None if one side has no orders."""
    row = decode(_BOOK_TICKER, data)
    bid, ask = read_number(row.bid), read_number(row.ask)  # 0 if there are no orders
    return BestPrices(row.symbol, bid, ask) if bid and ask else None


def _read_other(event: str) -> Event:
    return GoingAway() if event == "serverShutdown" else Heartbeat()


_READERS: dict[str, Callable[[msgspec.Raw], Trade | BestPrices | None]] = {
    "trade": _read_trade,
    "bookTicker": _read_best_prices,
}


def to_native(symbol: str) -> str:
    """Returns `BTCUSDT` for `BTC/USDT`."""
    return symbol.replace("/", "")


def to_symbol(native: str) -> str | None:
    """Returns `BTC/USDT` for `BTCUSDT`.

    Returns None if the second asset is unknown, or if the result is not a valid symbol.
    """
    quote = next((quote for quote in QUOTE_ASSETS if native.endswith(quote)), "")
    symbol = f"{native.removesuffix(quote)}/{quote}"
    return symbol if quote and is_symbol(symbol) else None


BINANCE = Source(
    name="binance",
    title="Binance",
    url="wss://data-stream.binance.vision/stream?timeUnit=MICROSECOND",
    rest_url="https://api.binance.com",
    make_adapter=BinanceAdapter,
    history=BinanceHistory(),
    to_native=to_native,
    to_symbol=to_symbol,
    silent_seconds=15,
    send_interval=0.3,
    rest_interval=0.3,
    max_age=24 * 3600 - 600,
    terms=TERMS,
)
