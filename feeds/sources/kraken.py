"""Adapts Kraken: version 2 of its WebSocket protocol, without a key.

Pure. Kraken's symbols are ours byte for byte. Trade ids grow by one per symbol, so they are sequences too.

The state of the trading engine comes unasked as the first message. Heartbeats begin with the first subscription. The
channel `instrument` tells the states of all pairs. The channel `ticker` tells the best prices whenever they change.
"""

from collections.abc import Callable, Collection, Sequence

import msgspec

from feeds.sources.adapter import Credentials, Source
from feeds.sources.decoding import Number, SequenceNumber, decode, printable, read_number, read_price, read_time
from feeds.sources.events import (
    BestPrices,
    Event,
    Failure,
    Heartbeat,
    Ready,
    SourceState,
    SourceStatus,
    SymbolRefused,
    SymbolState,
    Trade,
)
from feeds.sources.kraken_history import KrakenHistory
from feeds.sources.routes import Routes, chunks
from feeds.symbols import is_symbol

CHUNK = 50
"""The number of symbols per message. Kraken names no limit; 50 symbols stay far below any limit of length."""

WAIT_AFTER_ERROR = 30.0
"""Seconds to wait after an error such as too many messages."""

TRADE_REQUEST, TICKER_REQUEST, INSTRUMENT_REQUEST = 1, 2, 3
"""Kraken repeats these numbers in its answers. A refusal names no channel, so the number tells the channel."""

SYSTEM_STATES = {
    "online": SourceState.CONNECTED,
    "cancel_only": SourceState.MAINTENANCE,
    "maintenance": SourceState.MAINTENANCE,
    "post_only": SourceState.MAINTENANCE,
}
"""Without "online" no orders are matched, so there are no trades."""

PAIR_STATES = {
    "online": SymbolState.TRADING,
    "limit_only": SymbolState.TRADING,
    "reduce_only": SymbolState.TRADING,
    "cancel_only": SymbolState.HALTED,
    "post_only": SymbolState.HALTED,
    "maintenance": SymbolState.HALTED,
    "work_in_progress": SymbolState.HALTED,
    "delisted": SymbolState.HALTED,
}


class _Message(msgspec.Struct, gc=False):
    channel: str = ""
    type: str = ""
    method: str = ""
    success: bool = True
    error: str | None = None
    error_of_version_1: str | None = msgspec.field(name="Error", default=None)
    symbol: str | None = None
    req_id: int | None = None
    result: msgspec.Raw = msgspec.Raw(b"{}")
    data: msgspec.Raw = msgspec.Raw(b"[]")


class _Result(msgspec.Struct, gc=False):
    channel: str = ""
    symbol: str = ""


class _Trade(msgspec.Struct, gc=False):
    symbol: str
    price: Number
    qty: Number
    trade_id: SequenceNumber
    timestamp: str


class _Ticker(msgspec.Struct, gc=False):
    symbol: str
    bid: Number | None = None
    ask: Number | None = None
    timestamp: str | None = None


class _System(msgspec.Struct, gc=False):
    system: str = ""


class _Pair(msgspec.Struct, gc=False):
    symbol: str = ""
    status: str = ""


class _Instruments(msgspec.Struct, gc=False):
    pairs: list[_Pair] = []


_messages = msgspec.json.Decoder(_Message)
_results = msgspec.json.Decoder(_Result)
_trades = msgspec.json.Decoder(list[_Trade])
_tickers = msgspec.json.Decoder(list[_Ticker])
_systems = msgspec.json.Decoder(list[_System])
_instruments = msgspec.json.Decoder(_Instruments)


class KrakenAdapter:
    """The protocol state of one connection."""

    def __init__(self) -> None:
        self._routes = Routes()
        self._is_ready = False
        self._readers: dict[str, Callable[[_Message], list[Event]]] = {
            "trade": self._read_trades,
            "ticker": self._read_tickers,
            "status": self._read_status,
            "instrument": self._read_instruments,
        }

    def open(self) -> Sequence[str]:
        return [_request("subscribe", INSTRUMENT_REQUEST, {"channel": "instrument", "snapshot": True})]

    def subscribe(self, natives: Collection[str]) -> Sequence[str]:
        self._routes.ask(natives)
        return _requests("subscribe", natives, {"snapshot": True}, {"event_trigger": "bbo", "snapshot": True})

    def unsubscribe(self, natives: Collection[str]) -> Sequence[str]:
        self._routes.drop(natives)
        return _requests("unsubscribe", natives, {}, {"event_trigger": "bbo"})

    def receive(self, message: str | bytes) -> Sequence[Event]:
        received = decode(_messages, message)
        events: list[Event] = []
        if received.method:
            events = self._read_answer(received)
        elif error := received.error or received.error_of_version_1:
            events = [Failure(printable(error), wait=WAIT_AFTER_ERROR)]
        elif received.channel in self._readers:
            events = self._readers[received.channel](received)
        return events or [Heartbeat()]

    def replies(self) -> Sequence[str]:
        return []

    def _read_answer(self, received: _Message) -> list[Event]:
        """Reads the answer to a subscription. Only the answers of the channel `trade` make events."""
        if received.method != "subscribe":
            return []
        if received.success:
            result = decode(_results, bytes(received.result))
            return self._routes.acknowledge([result.symbol]) if result.channel == "trade" else []
        return self._read_refusal(received) if received.req_id == TRADE_REQUEST else []

    def _read_refusal(self, received: _Message) -> list[Event]:
        reason = printable(received.error or "no reason")
        if received.symbol is None:
            return [Failure(reason, wait=WAIT_AFTER_ERROR)]
        if not self._routes.is_asked(received.symbol):
            return []
        if "already subscribed" in reason.lower():  # an acknowledgement was lost, and the feeder subscribed again
            return self._routes.acknowledge([received.symbol])
        return [SymbolRefused(received.symbol, reason)]

    def _read_trades(self, received: _Message) -> list[Event]:
        past = received.type == "snapshot"
        trades = decode(_trades, bytes(received.data))
        return [_make_trade(trade, past) for trade in trades if self._routes.is_acknowledged(trade.symbol)]

    def _read_tickers(self, received: _Message) -> list[Event]:
        tickers = decode(_tickers, bytes(received.data))
        routed = (ticker for ticker in tickers if self._routes.is_acknowledged(ticker.symbol))
        return [prices for ticker in routed if (prices := _make_best_prices(ticker)) is not None]

    def _read_status(self, received: _Message) -> list[Event]:
        events: list[Event] = []
        if not self._is_ready:
            self._is_ready = True
            events.append(Ready())
        for status in decode(_systems, bytes(received.data)):
            if state := SYSTEM_STATES.get(status.system):
                reason = "" if state is SourceState.CONNECTED else status.system
                events.append(SourceStatus(state, reason))
        return events

    def _read_instruments(self, received: _Message) -> list[Event]:
        events: list[Event] = []
        for pair in decode(_instruments, bytes(received.data)).pairs:
            if state := PAIR_STATES.get(pair.status):
                events += self._routes.set_state(pair.symbol, state)
        return events


def _requests(
    method: str, natives: Collection[str], trade: dict[str, object], ticker: dict[str, object]
) -> Sequence[str]:
    """Returns the messages of all chunks. `trade` and `ticker` are the options of the two channels."""
    parts = [list(chunk) for chunk in chunks(natives, CHUNK)]
    trades = [_request(method, TRADE_REQUEST, {"channel": "trade", "symbol": part, **trade}) for part in parts]
    tickers = [_request(method, TICKER_REQUEST, {"channel": "ticker", "symbol": part, **ticker}) for part in parts]
    return trades + tickers


def _request(method: str, number: int, params: dict[str, object]) -> str:
    return msgspec.json.encode({"method": method, "params": params, "req_id": number}).decode()


def _make_trade(trade: _Trade, past: bool) -> Trade:
    return Trade(
        native=trade.symbol,
        price=read_price(trade.price),
        size=read_number(trade.qty),
        timestamp=read_time(trade.timestamp),
        id=str(trade.trade_id),
        sequence=trade.trade_id,
        past=past,
    )


def _make_best_prices(ticker: _Ticker) -> BestPrices | None:
    """Returns the best prices, or None if nobody offers to buy or to sell."""
    bid, ask = read_number(ticker.bid or 0), read_number(ticker.ask or 0)
    timestamp = read_time(ticker.timestamp) if ticker.timestamp else 0
    return BestPrices(ticker.symbol, bid, ask, timestamp) if bid and ask else None


def _make_adapter(_credentials: Credentials) -> KrakenAdapter:
    return KrakenAdapter()


KRAKEN = Source(
    name="kraken",
    title="Kraken",
    url="wss://ws.kraken.com/v2",
    rest_url="https://api.kraken.com",
    make_adapter=_make_adapter,
    history=KrakenHistory(),
    to_native=str,
    to_symbol=lambda native: native if is_symbol(native) else None,
    silent_seconds=5.0,
    send_interval=0.1,
    rest_interval=1.0,
)
