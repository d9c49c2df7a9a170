"""A fake Kraken: version 2 of its WebSocket protocol, and the requests OHLC, Trades and AssetPairs."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from tests.exchanges.ledger import LedgerBar, LedgerTrade, time_text
from tests.exchanges.server import Exchange
from tests.exchanges.sockets import Answer, Client, RestRequest

MAX_ROWS = 1000
MAX_BARS = 720
SNAPSHOT_TRADES = 50
ASSETS = {"BTC": "XBT", "DOGE": "XDG"}
"""The names of assets in HTTP requests, if different from the names in the WebSocket protocol."""

LETTERS = {"XBT": "XXBT", "XDG": "XXDG", "ETH": "XETH", "USD": "ZUSD", "EUR": "ZEUR"}
"""The names of assets in the keys of HTTP results. Each name has an additional first letter."""

encode = msgspec.json.Encoder(decimal_format="number").encode


def message(content: object) -> str:
    """Returns the JSON of a message. Decimals become JSON numbers with all digits."""
    return encode(content).decode()


def rest_assets(symbol: str) -> list[str]:
    return [ASSETS.get(asset, asset) for asset in symbol.split("/")]


def pair_names(symbol: str) -> dict[str, str]:
    """Returns the names of a pair in HTTP responses: the key of results, `altname` and `wsname`."""
    assets = rest_assets(symbol)
    key = "".join(LETTERS.get(asset, asset) for asset in assets)
    return {"key": key, "altname": "".join(assets), "wsname": "/".join(assets)}


class KrakenExchange(Exchange):
    """A fake Kraken. Native symbols are equal to symbols."""

    name = "kraken"
    stream_path = "/v2"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.system = "online"
        self._pair_status: dict[str, str] = {}
        self._quotes: dict[str, tuple[Decimal, Decimal]] = {}

    def set_system(self, system: str) -> None:
        """Changes the state of the trading engine: online, cancel_only, maintenance or post_only."""
        self.system = system
        self.for_clients(lambda client: self.send(client, self._status_message()))

    def set_pair_status(self, symbol: str, status: str) -> None:
        """Changes the state of a pair, such as cancel_only."""
        self._pair_status[symbol] = status
        changed = self._instrument_message("update", [symbol])
        self.on_loop(lambda: self.publish(changed, "instrument", "*"))

    # The WebSocket protocol.

    def greet(self, client: Client) -> None:
        self.send(client, self._status_message())

    def send_heartbeat(self, client: Client) -> None:
        if client.is_accepted:  # heartbeats begin with the first subscription
            self.send(client, {"channel": "heartbeat"})

    def receive(self, client: Client, message: Any) -> None:
        if not isinstance(message, dict) or message.get("method") not in ("subscribe", "unsubscribe", "ping"):
            self.send(client, {"error": "Malformed message", "success": False})
        elif message["method"] == "ping":
            self.send(client, {"method": "pong", "req_id": message.get("req_id")})
        else:
            self._change_subscriptions(client, message)

    def trade_messages(self, trades: Sequence[LedgerTrade]) -> list[str]:
        return [self._trade_message("update", trades)]

    def quote_message(self, symbol: str, bid: Decimal, ask: Decimal) -> str:
        self._quotes[symbol] = bid, ask
        return self._ticker_message("update", symbol)

    def _change_subscriptions(self, client: Client, request: dict[str, Any]) -> None:
        params = request.get("params", {})
        channel = params.get("channel")
        for symbol in params.get("symbol", ["*"]):
            if channel == "trade" and request["method"] == "subscribe" and self.loses_subscription(client, symbol):
                continue
            answer = {"method": request["method"], "req_id": request.get("req_id"), "time_in": time_text(self.now())}
            error = self._error(client, request["method"], channel, symbol)
            if error:
                self.send(client, {**answer, "success": False, "error": error, "symbol": symbol})
                continue
            result = {"channel": channel} if channel == "instrument" else {"channel": channel, "symbol": symbol}
            self.send(client, {**answer, "success": True, "result": result})
            if request["method"] == "unsubscribe":
                client.subscribed(channel).discard(symbol)
            else:
                self._subscribe(client, channel, symbol, params.get("snapshot", False))

    def _error(self, client: Client, method: str, channel: str, symbol: str) -> str | None:
        if channel not in ("trade", "ticker", "instrument"):
            return "Channel not supported"
        if channel != "instrument" and symbol not in self.symbols:
            return f"Currency pair not supported {symbol}"
        is_subscribed = symbol in client.subscribed(channel)
        if method == "subscribe":
            return "Already subscribed" if is_subscribed else None
        return None if is_subscribed else "Subscription Not Found"

    def _subscribe(self, client: Client, channel: str, symbol: str, wants_snapshot: bool) -> None:
        client.is_accepted = True
        client.subscribed(channel).add(symbol)
        if channel == "instrument":
            self.send(client, self._instrument_message("snapshot", self.symbols))
        elif channel == "ticker" and symbol in self._quotes:
            self.send(client, self._ticker_message("snapshot", symbol))
        elif channel == "trade":
            past = self.ledger.newest(symbol, SNAPSHOT_TRADES)
            if past and (wants_snapshot or "snapshot_of_past_trades" in self.faults):
                self.send(client, self._trade_message("snapshot", past))
            self.send_repeats(client, symbol)

    def _status_message(self) -> str:
        state = {"system": self.system, "api_version": "v2", "connection_id": self.connects, "version": "2.0.0"}
        return message({"channel": "status", "type": "update", "data": [state]})

    def _trade_message(self, kind: str, trades: Sequence[LedgerTrade]) -> str:
        data = [
            {
                "symbol": trade.symbol,
                "side": "sell",
                "price": trade.price,
                "qty": trade.size,
                "ord_type": "limit",
                "trade_id": trade.sequence,
                "timestamp": time_text(trade.timestamp),
            }
            for trade in trades
        ]
        return message({"channel": "trade", "type": kind, "data": data})

    def _ticker_message(self, kind: str, symbol: str) -> str:
        bid, ask = self._quotes[symbol]
        prices = {"symbol": symbol, "bid": bid, "bid_qty": 1, "ask": ask, "ask_qty": 1, "last": bid, "volume": 0}
        data = [{**prices, "timestamp": time_text(self.now())}]
        return message({"channel": "ticker", "type": kind, "data": data})

    def _instrument_message(self, kind: str, symbols: Sequence[str]) -> str:
        pairs = []
        for symbol in symbols:
            base, quote = symbol.split("/")
            status = self._pair_status.get(symbol, "online")
            pairs.append({"symbol": symbol, "base": base, "quote": quote, "status": status, "qty_min": 0.0001})
        return message({"channel": "instrument", "type": kind, "data": {"assets": [], "pairs": pairs}})

    # Requests over HTTP. Errors have status 200.

    def answer(self, request: RestRequest) -> Answer:
        if request.path == "/0/public/AssetPairs":
            return _result({names["key"]: self._pair(symbol, names) for symbol, names in self._pairs()})
        asked = request.parameters.get("pair")
        symbol = next((symbol for symbol, names in self._pairs() if asked in (symbol, *names.values())), None)
        if symbol is None:
            return Answer({"error": ["EQuery:Unknown asset pair"]})
        if request.path == "/0/public/Trades":
            return self._answer_trades(symbol, request.parameters)
        if request.path == "/0/public/OHLC":
            return self._answer_bars(symbol, request.parameters)
        return Answer({"error": ["EGeneral:Unknown method"]})

    def _pairs(self) -> list[tuple[str, dict[str, str]]]:
        return [(symbol, pair_names(symbol)) for symbol in self.symbols]

    def _pair(self, symbol: str, names: dict[str, str]) -> dict[str, str]:
        return {**names, "status": self._pair_status.get(symbol, "online"), "ordermin": "0.0001"}

    def _answer_trades(self, symbol: str, parameters: dict[str, str]) -> Answer:
        since, count = int(parameters.get("since", 0)), min(int(parameters.get("count", MAX_ROWS)), MAX_ROWS)
        ordered = sorted(self.ledger.trades(symbol), key=lambda trade: (trade.timestamp, trade.sequence))
        trades = [trade for trade in ordered if trade.timestamp * 1000 > since][:count]
        rows = [
            [f"{trade.price:f}", f"{trade.size:f}", trade.timestamp / 1_000_000, "s", "l", "", trade.sequence]
            for trade in trades
        ]
        last = trades[-1].timestamp * 1000 if trades else since
        return _result({pair_names(symbol)["key"]: rows, "last": str(last)})

    def _answer_bars(self, symbol: str, parameters: dict[str, str]) -> Answer:
        interval, since = int(parameters.get("interval", 1)) * 60, int(parameters.get("since", 0))
        bars = _with_empty_bars(self.ledger.bars(symbol, interval), interval * 1_000_000, self.now())
        rows = [_row(bar) for bar in bars]
        newer = [row for row in rows if row[0] > since] or rows[-1:]
        last = rows[-2][0] if len(rows) > 1 else 0
        return _result({pair_names(symbol)["key"]: newer, "last": last})


def _result(result: object) -> Answer:
    return Answer({"error": [], "result": result})


def _with_empty_bars(bars: Sequence[LedgerBar], length: int, now: int) -> list[LedgerBar]:
    """Returns the newest MAX_BARS bars, with an empty one for each interval without a trade, up to the current one."""
    if not bars:
        return []
    by_start = {bar.start: bar for bar in bars}
    first = max(bars[0].start, now // length * length - (MAX_BARS - 1) * length)
    price = next((bar.close for bar in reversed(bars) if bar.start < first), Decimal(0))
    filled: list[LedgerBar] = []
    for start in range(first, now + 1, length):
        filled.append(by_start.get(start) or LedgerBar(start, price, price, price, price, Decimal(0), 0))
        price = filled[-1].close
    return filled


def _row(bar: LedgerBar) -> list[Any]:
    prices = [f"{price:f}" for price in (bar.open, bar.high, bar.low, bar.close, bar.close)]
    return [bar.start // 1_000_000, *prices, f"{bar.volume:f}", bar.count]
