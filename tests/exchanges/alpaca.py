"""A fake Alpaca: the stream of one feed, and the requests for trades and bars."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from feeds.sources.alpaca import FEEDS
from tests.exchanges.ledger import LedgerBar, LedgerTrade
from tests.exchanges.server import Exchange
from tests.exchanges.sockets import Answer, Client, RestRequest

CHANNELS = ("trades", "quotes", "bars", "statuses")
TIMEFRAMES = {"1Min": 60, "1Day": 86_400}
PAST_TRADES = 50
DEFAULT_ROWS, MAX_ROWS = 1000, 10_000

encode = msgspec.json.Encoder(decimal_format="number").encode


def message(*parts: object) -> str:
    """Returns the JSON array of `parts`. Decimals become JSON numbers with all digits."""
    return encode(parts).decode()


def time_text(timestamp: int) -> str:
    """Returns a time as text with nanoseconds, in the format of Alpaca."""
    moment = datetime.fromtimestamp(timestamp // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{timestamp % 1_000_000:06}789Z"


class AlpacaExchange(Exchange):
    """A fake Alpaca. Native symbols are equal to symbols.

    `symbol_limit` is the most symbols that a client can subscribe to for trades. `refused` are symbols that the
    exchange does not accept. `max_rows` is the most rows of a response. If `is_single` is true, a second
    connection is refused.
    """

    name = "alpaca"
    stream_path = "/v2/iex"
    trade_channel = "trades"
    quote_channel = "quotes"
    patience_seconds = 10.0
    in_band_faults = frozenset({"connection_limit"})

    def __init__(self, symbols: Iterable[str] = ("AAPL", "MSFT"), *, feed: str = "iex", **options: Any) -> None:
        super().__init__(symbols, **options)
        self.stream_path = FEEDS[feed].path  # type: ignore[misc]
        self.feed = feed
        self.key, self.secret = "test-key", "test-secret"
        self.symbol_limit: int | None = None
        self.refused: set[str] = set()
        self.max_rows = MAX_ROWS
        self.is_single = False
        self.conditions: Sequence[str] = ("@",)
        """The conditions of all trades that are sent after this attribute is set."""

    def settings(self) -> dict[str, str]:
        keys = {"ALPACA_KEY_ID": self.key, "ALPACA_SECRET_KEY": self.secret}
        return {**super().settings(), "ALPACA_FEED": self.feed, **keys}

    def set_halted(self, symbol: str, is_halted: bool = True) -> None:
        """Halts or resumes the trading of a symbol."""
        code, text = ("H", "Trading Halt") if is_halted else ("T", "Trading Resumption")
        status = {"T": "s", "S": symbol, "sc": code, "sm": text, "t": time_text(self.now()), "z": "C"}
        self.on_loop(lambda: self.publish(message(status), "statuses", symbol))

    def correct(self, trade: LedgerTrade, price: str) -> None:
        """Sends a correction with a new price of a trade. The ledger keeps the old price."""
        old = {"x": "V", "oi": trade.sequence, "op": trade.price, "os": trade.size}
        new = {"ci": trade.sequence + 1, "cp": Decimal(price), "cs": trade.size, "t": time_text(self.now())}
        self.on_loop(lambda: self.publish(message({"T": "c", "S": trade.symbol, **old, **new}), "trades", trade.symbol))

    def cancel(self, trade: LedgerTrade) -> None:
        """Sends a cancellation of a trade. The ledger keeps the trade."""
        content = {"i": trade.sequence, "x": "V", "p": trade.price, "s": trade.size, "a": "C"}
        part = {"T": "x", "S": trade.symbol, **content, "t": time_text(self.now()), "z": "C"}
        self.on_loop(lambda: self.publish(message(part), "trades", trade.symbol))

    # The WebSocket protocol.

    def greet(self, client: Client) -> None:
        self.send(client, message({"T": "success", "msg": "connected"}))

    def receive(self, client: Client, message_: Any) -> None:
        action = message_.get("action") if isinstance(message_, dict) else None
        if action == "auth":
            self._authenticate(client, message_)
        elif not client.is_accepted:
            self._refuse(client, 401, "not authenticated")
        elif action in ("subscribe", "unsubscribe"):
            self._change_subscriptions(client, action, message_)
        else:
            self._refuse(client, 400, "invalid syntax")

    def trade_messages(self, trades: Sequence[LedgerTrade]) -> list[str]:
        return [message(*({"T": "t", "S": trade.symbol, **self._trade(trade)} for trade in trades))]

    def quote_message(self, symbol: str, bid: Decimal, ask: Decimal) -> str:
        prices = {"bx": "V", "bp": bid, "bs": 1, "ax": "V", "ap": ask, "as": 1}
        return message({"T": "q", "S": symbol, **prices, "t": time_text(self.now()), "c": ["R"], "z": "C"})

    def send_heartbeat(self, client: Client) -> None:
        """Sends minute bars, if the client subscribes to minute bars. Alpaca has no heartbeats."""
        for symbol in client.subscribed("bars"):
            self.send(client, message({"T": "b", "S": symbol, "o": 1, "h": 1, "l": 1, "c": 1, "v": 1}))

    def _authenticate(self, client: Client, request: dict[str, Any]) -> None:
        others = [other for other in self.clients if other is not client and other.is_accepted]
        if client.is_accepted:
            self._refuse(client, 403, "already authenticated")
        elif "connection_limit" in self.faults or (self.is_single and others):
            self._refuse(client, 406, "connection limit exceeded")
        elif (request.get("key"), request.get("secret")) != (self.key, self.secret):
            self._refuse(client, 402, "auth failed")
        else:
            client.is_accepted = True
            self.send(client, message({"T": "success", "msg": "authenticated"}))

    def _change_subscriptions(self, client: Client, action: str, request: dict[str, Any]) -> None:
        wanted = {channel: request.get(channel, []) for channel in CHANNELS}
        added = [symbol for symbol in wanted["trades"] if symbol not in client.subscribed("trades")]
        if action == "unsubscribe":
            for channel, symbols in wanted.items():
                client.subscribed(channel).difference_update(symbols)
        elif self.refused.intersection(wanted["trades"]):
            return self._refuse(client, 400, "invalid symbol")
        elif self.symbol_limit is not None and len(client.subscribed("trades")) + len(added) > self.symbol_limit:
            return self._refuse(client, 405, "symbol limit exceeded")
        # One answer stands for the whole request, so one lost symbol costs all of it.
        elif any(self.loses_subscription(client, symbol) for symbol in wanted["trades"]):
            return None
        else:
            for channel, symbols in wanted.items():
                client.subscribed(channel).update(symbols)
        self._send_subscriptions(client)
        for symbol in wanted["trades"] if action == "subscribe" else ():
            self._send_past(client, symbol)
        return None

    def _send_subscriptions(self, client: Client) -> None:
        listed = {channel: sorted(client.subscribed(channel)) for channel in CHANNELS}
        unasked = {"corrections": listed["trades"], "cancelErrors": listed["trades"]}
        self.send(client, message({"T": "subscription", **listed, **unasked}))

    def _send_past(self, client: Client, symbol: str) -> None:
        """Sends old trades if a fault demands old trades. The real Alpaca never sends old trades."""
        self.send_repeats(client, symbol)
        past = self.ledger.newest(symbol, PAST_TRADES)
        if past and "snapshot_of_past_trades" in self.faults:
            for text in self.trade_messages(past):
                self.send(client, text)

    def _refuse(self, client: Client, code: int, text: str) -> None:
        self.send(client, message({"T": "error", "code": code, "msg": text}))
        if code in (402, 406):
            self.start_closing(client, 1000)

    def _trade(self, trade: LedgerTrade) -> dict[str, Any]:
        times = {"t": time_text(trade.timestamp), "i": trade.sequence, "p": trade.price, "s": trade.size}
        return times if self.feed == "crypto" else {**times, "x": "V", "c": self.conditions, "z": "C"}

    # Requests over HTTP.

    def answer(self, request: RestRequest) -> Answer:
        given = request.headers.get("apca-api-key-id"), request.headers.get("apca-api-secret-key")
        if given != (self.key, self.secret):
            return Answer({"message": "forbidden."}, 403)
        folder, _, kind = request.path.rpartition("/")
        is_known = folder == ("/v1beta3/crypto/us" if self.feed == "crypto" else "/v2/stocks")
        if not is_known or kind not in ("trades", "bars"):
            return Answer({"message": "endpoint not found."}, 404)
        symbol, parameters = request.parameters["symbols"], request.parameters
        start, end = (_unix_microseconds(parameters[name]) for name in ("start", "end"))
        find = self._find_trades if kind == "trades" else self._find_bars
        return self._answer_page(kind, symbol, find(symbol, start, end, parameters), parameters)

    def _answer_page(self, kind: str, symbol: str, rows: Sequence[Any], parameters: dict[str, str]) -> Answer:
        begin = int(parameters.get("page_token", 0))
        end = begin + min(int(parameters.get("limit", DEFAULT_ROWS)), self.max_rows)
        token = str(end) if end < len(rows) else None
        # Through JSON, so that decimals become numbers.
        page = msgspec.json.decode(encode(rows[begin:end]))
        return Answer({kind: {symbol: page} if page else {}, "next_page_token": token})

    def _find_trades(self, symbol: str, start: int, end: int, _parameters: dict[str, str]) -> list[dict[str, Any]]:
        ordered = sorted(self.ledger.trades(symbol), key=lambda trade: (trade.timestamp, trade.sequence))
        # Times have 789 ns more than in the ledger.
        return [self._trade(trade) for trade in ordered if start <= trade.timestamp < end]

    def _find_bars(self, symbol: str, start: int, end: int, parameters: dict[str, str]) -> list[dict[str, Any]]:
        bars = self.ledger.bars(symbol, TIMEFRAMES[parameters["timeframe"]])
        return [_bar_row(bar) for bar in bars if start <= bar.start <= end]


def _bar_row(bar: LedgerBar) -> dict[str, Any]:
    start = datetime.fromtimestamp(bar.start // 1_000_000, UTC)
    prices = {"o": bar.open, "h": bar.high, "l": bar.low, "c": bar.close}
    return {"t": f"{start:%Y-%m-%dT%H:%M:%SZ}", **prices, "v": bar.volume, "n": bar.count, "vw": bar.close}


def _unix_microseconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond
