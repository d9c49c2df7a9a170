"""A fake Binance: combined streams of trades and best prices, and the requests for symbols, trades and bars."""

import json
from collections import deque
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from tests.exchanges.ledger import LedgerBar, LedgerTrade
from tests.exchanges.server import Exchange
from tests.exchanges.sockets import Answer, Client, RestRequest

MAX_STREAMS = 1024
MAX_ROWS = 1000
DEFAULT_ROWS = 500
INTERVALS = {"1m": 60, "1d": 86_400}
LIVENESS = "BTCUSDT"
PAST_TRADES = 50


def to_native(symbol: str) -> str:
    return symbol.replace("/", "")


class BinanceExchange(Exchange):
    """A fake Binance. The native symbol `BTCUSDT` is the symbol `BTC/USDT`.

    Subscriptions to unknown symbols are acknowledged. The real Binance does the same. `max_messages` is the most
    messages of a client in any second, or None for no limit.
    """

    name = "binance"
    stream_path = "/stream?timeUnit=MICROSECOND"
    quote_channel = "bookTicker"

    def __init__(self, symbols: Iterable[str] = ("BTC/USDT", "ETH/USDT"), **options: Any) -> None:
        super().__init__(symbols, **options)
        self.max_messages: int | None = None
        self._status: dict[str, str] = {}
        self._received_at: dict[Client, deque[float]] = {}

    def set_status(self, symbol: str, status: str) -> None:
        """Changes the status of a symbol: TRADING, HALT or BREAK. Only the list of symbols contains the status."""
        self._status[symbol] = status

    # The WebSocket protocol.

    def receive(self, client: Client, message: Any) -> None:
        if self._is_too_fast(client):
            self.start_closing(client, 1008)
        elif not isinstance(message, dict):
            self.send(client, {"code": 3, "msg": "Invalid JSON: expected value at line 1 column 1"})
        elif message.get("method") not in ("SUBSCRIBE", "UNSUBSCRIBE"):
            text = f"Invalid request: unknown variant {message.get('method')}"
            self.send(client, {"code": 2, "msg": text, "id": message.get("id")})
        else:
            self._change_subscriptions(client, message)

    def trade_messages(self, trades: Sequence[LedgerTrade]) -> list[str]:
        return [json.dumps(self._trade_message(trade)) for trade in trades]

    def quote_message(self, symbol: str, bid: Decimal, ask: Decimal) -> str:
        native = to_native(symbol)
        data = {"u": 400900217, "s": native, "b": f"{bid:f}", "B": "31.21", "a": f"{ask:f}", "A": "40.66"}
        return json.dumps({"stream": f"{native.lower()}@bookTicker", "data": data})

    def send_heartbeat(self, client: Client) -> None:
        """Sends the message that replaces a heartbeat, if the client subscribes to this message."""
        if self._symbol(LIVENESS) in client.subscribed("miniTicker"):
            data = {"e": "24hrMiniTicker", "E": self.now(), "s": LIVENESS, "c": "1.0", "o": "1.0"}
            self.send(client, {"stream": f"{LIVENESS.lower()}@miniTicker", "data": data})

    def announce_cut(self, client: Client) -> None:
        self.send(client, {"e": "serverShutdown", "E": self.now()})

    def _is_too_fast(self, client: Client) -> bool:
        times = self._received_at.setdefault(client, deque())
        times.append(self._clock())
        while times[0] < times[-1] - 1:
            times.popleft()
        return self.max_messages is not None and len(times) > self.max_messages

    def _change_subscriptions(self, client: Client, request: dict[str, Any]) -> None:
        streams = [stream.partition("@")[::2] for stream in request["params"]]
        symbols = [(self._symbol(name.upper()), channel) for name, channel in streams]
        is_subscribe = request["method"] == "SUBSCRIBE"
        asked = [symbol for symbol, channel in symbols if channel == "trade"]
        # One answer stands for the whole request, so one lost symbol costs all of it.
        if is_subscribe and any(self.loses_subscription(client, symbol) for symbol in asked):
            return
        if is_subscribe and self._stream_count(client) + len(streams) > MAX_STREAMS:
            self.send(client, {"code": 2, "msg": "Invalid request: too many streams", "id": request.get("id")})
            return
        for symbol, channel in symbols:
            change = client.subscribed(channel).add if is_subscribe else client.subscribed(channel).discard
            change(symbol)
        client.is_accepted = True
        self.send(client, {"result": None, "id": request.get("id")})
        for symbol in asked if is_subscribe else ():
            self._send_past(client, symbol)

    def _send_past(self, client: Client, symbol: str) -> None:
        """Sends old trades if a fault demands old trades. The real Binance never sends old trades."""
        self.send_repeats(client, symbol)
        if "snapshot_of_past_trades" in self.faults:
            for message in self.trade_messages(self.ledger.newest(symbol, PAST_TRADES)):
                self.send(client, message)

    def _stream_count(self, client: Client) -> int:
        return sum(len(client.subscribed(channel)) for channel in ("trade", "bookTicker", "miniTicker"))

    def _symbol(self, native: str) -> str:
        """Returns the symbol for a native symbol. Returns an unknown native symbol unchanged."""
        return next((symbol for symbol in self.symbols if to_native(symbol) == native), native)

    def _trade_message(self, trade: LedgerTrade) -> dict[str, Any]:
        native = to_native(trade.symbol)
        data = {
            "e": "trade",
            "E": self.now(),
            "s": native,
            "t": trade.sequence,
            "p": f"{trade.price:f}",
            "q": f"{trade.size:f}",
            "T": trade.timestamp,
            "m": True,
            "M": True,
        }
        return {"stream": f"{native.lower()}@trade", "data": data}

    # Requests over HTTP.

    def answer(self, request: RestRequest) -> Answer:
        if request.path == "/api/v3/exchangeInfo":
            return Answer({"timezone": "UTC", "symbols": [self._instrument(symbol) for symbol in self.symbols]})
        symbol = self._symbol(request.parameters.get("symbol", ""))
        if symbol not in self.symbols:
            return Answer({"code": -1121, "msg": "Invalid symbol."}, 400)
        unit = 1 if request.headers.get("x-mbx-time-unit") == "MICROSECOND" else 1000
        rows = min(int(request.parameters.get("limit", DEFAULT_ROWS)), MAX_ROWS)
        if request.path == "/api/v3/historicalTrades":
            return Answer([_trade_row(trade, unit) for trade in self._trades(symbol, request.parameters, rows)])
        if request.path == "/api/v3/klines":
            return Answer(self._klines(symbol, request.parameters, rows, unit))
        return Answer({"code": -1, "msg": "Not found"}, 404)

    def _instrument(self, symbol: str) -> dict[str, Any]:
        base, quote = symbol.split("/")
        status = self._status.get(symbol, "TRADING")
        return {"symbol": to_native(symbol), "status": status, "baseAsset": base, "quoteAsset": quote}

    def _trades(self, symbol: str, parameters: dict[str, str], rows: int) -> list[LedgerTrade]:
        ordered = sorted(self.ledger.trades(symbol), key=lambda trade: trade.sequence)
        if "fromId" not in parameters:
            return ordered[-rows:]
        return [trade for trade in ordered if trade.sequence >= int(parameters["fromId"])][:rows]

    def _klines(self, symbol: str, parameters: dict[str, str], rows: int, unit: int) -> list[list[Any]]:
        interval = INTERVALS[parameters["interval"]]
        start, end = int(parameters["startTime"]) * 1000, int(parameters["endTime"]) * 1000
        bars = [bar for bar in self.ledger.bars(symbol, interval) if start <= bar.start <= end]
        return [_kline(bar, interval * 1_000_000, unit) for bar in bars[:rows]]


def _trade_row(trade: LedgerTrade, unit: int) -> dict[str, Any]:
    return {
        "id": trade.sequence,
        "price": f"{trade.price:f}",
        "qty": f"{trade.size:f}",
        "quoteQty": f"{trade.price * trade.size:f}",
        "time": trade.timestamp // unit,
        "isBuyerMaker": True,
        "isBestMatch": True,
    }


def _kline(bar: LedgerBar, length: int, unit: int) -> list[Any]:
    prices = [f"{price:f}" for price in (bar.open, bar.high, bar.low, bar.close)]
    end = (bar.start + length) // unit - 1
    return [bar.start // unit, *prices, f"{bar.volume:f}", end, "0", bar.count, "0", "0", "0"]
