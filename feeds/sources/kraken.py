"""Speaks version 2 of Kraken's WebSocket protocol, without a key.

Pure. Kraken's symbols equal our symbols. The trade ids of a symbol grow by one, so they are also sequence numbers. The
adapter reads four channels:

- `trade`: the trades;
- `ticker`: the best prices;
- `instrument`: the states of all pairs;
- `status`: the state of Kraken's trading engine. Kraken sends this channel without a request.
"""

from collections.abc import Callable, Collection, Sequence

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
    Ready,
    SourceState,
    SourceStatus,
    SymbolRefused,
    SymbolState,
    Trade,
)
from feeds.sources.history.kraken import KrakenHistory
from feeds.sources.routes import Routes, chunks
from feeds.symbols import is_symbol

CHUNK = 50
"""The greatest number of symbols in one message. Kraken documents no limit."""

WAIT_AFTER_ERROR = 30.0
"""How many seconds to wait after an error, for example after too many messages."""

TRADE_REQUEST, TICKER_REQUEST, INSTRUMENT_REQUEST = 1, 2, 3
"""The numbers of requests, one for each channel. A refusal repeats the number and does not name the channel."""

SYSTEM_STATES = {
    "online": SourceState.CONNECTED,
    "cancel_only": SourceState.MAINTENANCE,
    "maintenance": SourceState.MAINTENANCE,
    "post_only": SourceState.MAINTENANCE,
}
"""A dict from the state of Kraken's engine to our state. Trades happen only in the state "online"."""

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
    pairs: msgspec.Raw = msgspec.Raw(b"[]")


_messages = msgspec.json.Decoder(_Message)
_results = msgspec.json.Decoder(_Result)
_trades = msgspec.json.Decoder(_Trade)
_tickers = msgspec.json.Decoder(_Ticker)
_systems = msgspec.json.Decoder(list[_System])
_instruments = msgspec.json.Decoder(_Instruments)
_pairs = msgspec.json.Decoder(_Pair)


class KrakenAdapter:
    """Speaks Kraken's protocol on one connection."""

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
            result = decode(_results, received.result)
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
        return decode_parts(_trades, received.data, lambda trade: self._read_trade(trade, past))

    def _read_trade(self, trade: _Trade, past: bool) -> list[Event]:
        return [_make_trade(trade, past)] if self._routes.is_acknowledged(trade.symbol) else []

    def _read_tickers(self, received: _Message) -> list[Event]:
        return decode_parts(_tickers, received.data, self._read_ticker)

    def _read_ticker(self, ticker: _Ticker) -> list[Event]:
        """Reads the best prices. Returns no event if one side has no orders."""
        bid, ask = read_number(ticker.bid or 0), read_number(ticker.ask or 0)
        timestamp = read_time(ticker.timestamp) if ticker.timestamp else 0
        is_routed = self._routes.is_acknowledged(ticker.symbol)
        return [BestPrices(ticker.symbol, bid, ask, timestamp)] if is_routed and bid and ask else []

    def _read_status(self, received: _Message) -> list[Event]:
        statuses = decode(_systems, received.data)
        events: list[Event] = [] if self._is_ready else [Ready()]
        self._is_ready = True
        for status in statuses:
            if state := SYSTEM_STATES.get(status.system):
                reason = "" if state is SourceState.CONNECTED else status.system
                events.append(SourceStatus(state, reason))
        return events

    def _read_instruments(self, received: _Message) -> list[Event]:
        return decode_parts(_pairs, decode(_instruments, received.data).pairs, self._read_pair)

    def _read_pair(self, pair: _Pair) -> list[Event]:
        state = PAIR_STATES.get(pair.status)
        return self._routes.set_state(pair.symbol, state) if state else []


def _requests(
    method: str, natives: Collection[str], trade: dict[str, object], ticker: dict[str, object]
) -> Sequence[str]:
    """Returns the messages that subscribe or unsubscribe symbols on the channels `trade` and `ticker`.

    `method` is `subscribe` or `unsubscribe`. The dicts `trade` and `ticker` hold further options of the channel.
    """
    parts = [list(chunk) for chunk in chunks(natives, CHUNK)]
    trades = [_request(method, TRADE_REQUEST, {"channel": "trade", "symbol": part, **trade}) for part in parts]
    tickers = [_request(method, TICKER_REQUEST, {"channel": "ticker", "symbol": part, **ticker}) for part in parts]
    return trades + tickers


def _request(method: str, number: int, params: dict[str, object]) -> str:
    return msgspec.json.encode({"method": method, "params": params, "req_id": number}).decode()


def _make_trade(trade: _Trade, past: bool) -> Trade:
    return make_numbered_trade(trade.symbol, trade.trade_id, trade.price, trade.qty, read_time(trade.timestamp), past)


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
