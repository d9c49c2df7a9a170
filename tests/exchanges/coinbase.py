"""A fake Coinbase Exchange: its WebSocket feed, and the requests for products, trades and candles."""

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.exchanges.ledger import LedgerTrade, time_text
from tests.exchanges.server import Exchange
from tests.exchanges.sockets import Answer, Client, RestRequest

MAX_TRADES = 1000
MAX_BARS = 300
CHANNELS = ("matches", "ticker", "heartbeat", "status")


def to_product(symbol: str) -> str:
    return symbol.replace("/", "-")


class CoinbaseExchange(Exchange):
    """A fake Coinbase Exchange. The native symbol `BTC-USD` is the symbol `BTC/USD`."""

    name = "coinbase"
    stream_path = "/"
    trade_channel = "matches"
    patience_seconds = 5.0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.names_refused_products = True
        """Whether the error for a subscription says which product is unknown."""
        self.knows_last_trade = True
        """Whether a heartbeat contains the sequence of the newest trade. The real Coinbase once sent 0 instead."""
        self._halted: set[str] = set()

    def set_halted(self, symbol: str, is_halted: bool = True) -> None:
        """Stops or resumes the trading of a product."""
        if is_halted:
            self._halted.add(symbol)
        else:
            self._halted.discard(symbol)
        self.for_clients(self.send_status)

    # The WebSocket protocol.

    def receive(self, client: Client, message: Any) -> None:
        if not isinstance(message, dict) or message.get("type") not in ("subscribe", "unsubscribe"):
            self._refuse(client, "Malformed JSON", "")
            return
        wanted = _wanted(message)
        unknown = [product for products in wanted.values() for product in products if self._symbol(product) is None]
        if unknown or not wanted or not wanted.keys() <= set(CHANNELS):
            named = f"{unknown[0]} is not a valid product" if unknown else "No channels provided"
            self._refuse(client, "Failed to subscribe", named if self.names_refused_products else "Invalid product ID")
        elif message["type"] == "unsubscribe":
            for channel, products in wanted.items():
                client.subscribed(channel).difference_update(map(self._symbol, products))
            self._send_subscriptions(client)
        else:
            self._subscribe(client, wanted)

    def trade_messages(self, trades: Sequence[LedgerTrade]) -> list[str]:
        return [json.dumps(self._match("match", trade)) for trade in trades]

    def quote_message(self, symbol: str, bid: Decimal, ask: Decimal) -> str:
        newest = self.ledger.newest(symbol, 1)
        return json.dumps(
            {
                "type": "ticker",
                "sequence": 1,
                "product_id": to_product(symbol),
                "price": f"{newest[0].price if newest else bid:f}",
                "best_bid": f"{bid:f}",
                "best_ask": f"{ask:f}",
                "side": "buy",
                "time": time_text(self.now()),
                "trade_id": newest[0].sequence if newest else 0,
            }
        )

    def send_heartbeat(self, client: Client) -> None:
        for symbol in client.subscribed("heartbeat"):
            newest = self.ledger.newest(symbol, 1) if self.knows_last_trade else ()
            content = {"sequence": 1, "last_trade_id": newest[0].sequence if newest else 0}
            times = {"product_id": to_product(symbol), "time": time_text(self.now())}
            self.send(client, {"type": "heartbeat", **content, **times})

    def send_status(self, client: Client) -> None:
        if "*" in client.subscribed("status"):
            self.send(client, {"type": "status", "products": self._products(), "currencies": []})

    def _symbol(self, product: str) -> str | None:
        return next((symbol for symbol in self.symbols if to_product(symbol) == product), None)

    def _subscribe(self, client: Client, wanted: dict[str, list[str]]) -> None:
        client.is_accepted = True
        if "status" in wanted:
            client.subscribed("status").add("*")
        symbols = [symbol for product in wanted.get("matches", []) if (symbol := self._symbol(product))]
        lost = {symbol for symbol in symbols if self.loses_subscription(client, symbol)}
        for channel, products in wanted.items():
            found = [symbol for product in products if (symbol := self._symbol(product))]
            client.subscribed(channel).update(symbol for symbol in found if symbol not in lost)
        if not lost or len(lost) < len(symbols):
            self._send_subscriptions(client)
        if "status" in wanted:
            self.send_status(client)
        for symbol in symbols:
            if symbol not in lost:
                self._send_past(client, symbol)

    def _send_past(self, client: Client, symbol: str) -> None:
        """Sends the newest trade. If a fault demands old trades, sends more trades."""
        for trade in self.ledger.newest(symbol, 50 if "snapshot_of_past_trades" in self.faults else 1):
            self.send(client, self._match("last_match", trade))
        self.send_repeats(client, symbol)

    def _send_subscriptions(self, client: Client) -> None:
        products = {name: sorted(map(to_product, client.subscribed(name) - {"*"})) for name in CHANNELS}
        channels = [{"name": name, "product_ids": products[name]} for name in CHANNELS if client.subscribed(name)]
        self.send(client, {"type": "subscriptions", "channels": channels})

    def _refuse(self, client: Client, text: str, reason: str) -> None:
        self.send(client, {"type": "error", "message": text, "reason": reason})

    def _match(self, kind: str, trade: LedgerTrade) -> dict[str, Any]:
        return {
            "type": kind,
            "trade_id": trade.sequence,
            "sequence": 1,
            "time": time_text(trade.timestamp),
            "product_id": to_product(trade.symbol),
            "size": f"{trade.size:f}",
            "price": f"{trade.price:f}",
            "side": "sell",
        }

    def _products(self) -> list[dict[str, Any]]:
        return [
            {
                "id": to_product(symbol),
                "status": "online",
                "cancel_only": symbol in self._halted,
                "post_only": False,
                "trading_disabled": False,
            }
            for symbol in self.symbols
        ]

    # Requests over HTTP.

    def answer(self, request: RestRequest) -> Answer:
        if request.path == "/products":
            return Answer(self._products())
        _, _, product, kind = (*request.path.split("/"), "", "", "")[:4]
        symbol = self._symbol(product)
        if symbol is not None and kind == "trades":
            return self._answer_trades(symbol, request.parameters)
        if symbol is not None and kind == "candles":
            return self._answer_bars(symbol, request.parameters)
        return Answer({"message": "NotFound"}, 404)

    def _answer_trades(self, symbol: str, parameters: dict[str, str]) -> Answer:
        after, before = int(parameters.get("after", 2**53)), int(parameters.get("before", -1))
        limit = min(int(parameters.get("limit", MAX_TRADES)), MAX_TRADES)
        newest_first = sorted(self.ledger.trades(symbol), key=lambda trade: -trade.sequence)
        page = [trade for trade in newest_first if before < trade.sequence < after][:limit]
        rows = [self._match("match", trade) for trade in page]
        return Answer([{key: row[key] for key in ("trade_id", "side", "size", "price", "time")} for row in rows])

    def _answer_bars(self, symbol: str, parameters: dict[str, str]) -> Answer:
        interval = int(parameters["granularity"])
        start, end = (_unix_seconds(parameters[name]) for name in ("start", "end"))
        if (end - start) // interval + 1 > MAX_BARS:
            return Answer({"message": "granularity too small for the requested time range. Count of aggregations"}, 400)
        rows = [
            [bar.start // 1_000_000, *map(float, (bar.low, bar.high, bar.open, bar.close, bar.volume))]
            for bar in self.ledger.bars(symbol, interval)
            if start <= bar.start // 1_000_000 <= end
        ]
        return Answer(rows[::-1])


def _wanted(message: dict[str, Any]) -> dict[str, list[str]]:
    """Returns the products of each channel. A channel is a name, or an object with a name and products."""
    shared = message.get("product_ids", [])
    wanted: dict[str, list[str]] = {}
    for channel in message.get("channels", []):
        named = {"name": channel} if isinstance(channel, str) else channel
        wanted[named["name"]] = named.get("product_ids", shared)
    return wanted


def _unix_seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())
