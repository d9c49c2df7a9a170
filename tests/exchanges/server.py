"""Defines what all fake exchanges share: trades, the ledger and faults.

    with KrakenExchange(["BTC/USD"]) as exchange:  # runs in a separate thread
        exchange.url, exchange.rest_url            # what to set as KRAKEN_URL and KRAKEN_REST_URL
        exchange.trade("BTC/USD", "97120.1", "0.005")
        exchange.set_fault("mute")

A subclass defines the protocol. The methods under "What a test does" may be called from any thread or event loop.
Such a method returns after all messages have been handed to the sockets.
"""

import asyncio
import json
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from http import HTTPStatus
from itertools import groupby
from operator import attrgetter
from typing import Any, ClassVar

from websockets.asyncio.server import broadcast

from tests.exchanges.faults import BURST_TRADES, CLOCK_AHEAD_US, FAULTS, LATE_US, MAX_SMALL_MESSAGE_BYTES, SEQUENCE_JUMP
from tests.exchanges.ledger import Ledger, LedgerTrade
from tests.exchanges.sockets import Answer, Client, RestRequest, SocketServer

REPEATED_TRADES = 50
REFUSALS = {
    "country_refused": HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS,
    "refuse_connects": HTTPStatus.SERVICE_UNAVAILABLE,
    "outage": HTTPStatus.SERVICE_UNAVAILABLE,
    "connection_limit": HTTPStatus.TOO_MANY_REQUESTS,
}
"""A dict from fault to HTTP status, for faults that refuse WebSocket connections."""

REQUEST_REFUSALS = {
    "country_refused": HTTPStatus.UNAVAILABLE_FOR_LEGAL_REASONS,
    "outage": HTTPStatus.SERVICE_UNAVAILABLE,
    "requests_fail": HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""A dict from fault to HTTP status, for faults that refuse HTTP requests."""

NewTrade = tuple[str, str, str] | tuple[str, str, str, int]
"""Symbol, price, size, and time in unix microseconds. Without a time, the trade happens now."""


class Exchange(SocketServer):
    """A fake exchange.

    `heartbeat_seconds` is the time between heartbeats. If it is 0, only `beat` sends heartbeats. Pings are sent only
    during the fault `busy`: `ping_seconds` is the time between pings, and `pong_seconds` is the time to answer a ping.
    `clock` returns unix seconds.
    """

    stream_path: ClassVar[str] = "/"
    trade_channel: ClassVar[str] = "trade"
    quote_channel: ClassVar[str] = "ticker"
    """The channel for best prices. `trade_channel` is the channel for trades."""

    in_band_faults: ClassVar[frozenset[str]] = frozenset()
    """The faults in REFUSALS that do not refuse the connection. Instead, `greet` or `receive` sends an error."""

    def __init__(
        self,
        symbols: Iterable[str] = ("BTC/USD", "ETH/USD"),
        *,
        port: int = 0,
        heartbeat_seconds: float = 1.0,
        ping_seconds: float = 1.0,
        pong_seconds: float = 10.0,
        max_client_bytes: int = 64 * 1024,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(port)
        self.symbols = list(symbols)
        self.ledger = Ledger()
        self.faults: dict[str, str] = {}
        """A dict from active fault to the symbol of the fault."""
        self.pongs = 0
        self.late_pongs = 0
        """The number of clients that were cut because of an unanswered ping. `pongs` counts answered pings."""
        self.max_client_bytes = max_client_bytes
        self._heartbeat_seconds = heartbeat_seconds
        self._ping_seconds, self._pong_seconds = ping_seconds, pong_seconds
        self._clock = clock

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}{self.stream_path}"

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def settings(self) -> dict[str, str]:
        """Returns the settings that make `runfeed` use this exchange."""
        prefix = self.name.upper()
        return {f"{prefix}_URL": self.url, f"{prefix}_REST_URL": self.rest_url}

    # What a protocol defines.

    @abstractmethod
    def receive(self, client: Client, message: Any) -> None:
        """Handles a message of a client. `message` is the decoded JSON, or None for invalid JSON."""

    @abstractmethod
    def trade_messages(self, trades: Sequence[LedgerTrade]) -> list[str]:
        """Returns the messages about live trades of one symbol."""

    @abstractmethod
    def answer(self, request: RestRequest) -> Answer:
        """Answers a request over HTTP."""

    def greet(self, client: Client) -> None:
        """Sends the messages that every new connection gets."""

    def send_heartbeat(self, client: Client) -> None:
        """Sends one heartbeat, if the protocol has heartbeats."""

    def quote_message(self, symbol: str, bid: Decimal, ask: Decimal) -> str | None:
        """Returns the message with the best prices of a symbol, or None if the protocol has no such message."""
        return None

    def announce_cut(self, client: Client) -> None:
        """Announces the end of the connection, if the protocol has such a message."""

    # What a test does.

    def trade(self, symbol: str, price: str, size: str = "1", *, time: int = 0, sent: bool = True) -> LedgerTrade:
        """Makes a trade. `time` is in unix microseconds; 0 means now. If `sent` is False, nothing is sent."""
        return self.trades([(symbol, price, size, time)], sent=sent)[0]

    def trades(self, trades: Iterable[NewTrade], *, sent: bool = True) -> list[LedgerTrade]:
        """Makes trades. Adjacent trades of one symbol share messages, if the protocol has shared messages."""
        return self.on_loop(lambda: self._make_trades(trades, sent))

    def send_again(self, trades: Sequence[LedgerTrade]) -> None:
        """Sends trades again as live trades."""
        self.on_loop(lambda: self._send_trades(trades))

    def quote(self, symbol: str, bid: str, ask: str) -> None:
        """Sends the best prices of a symbol to its subscribers."""
        message = self.quote_message(symbol, Decimal(bid), Decimal(ask))
        if message is not None:
            self.on_loop(lambda: self.publish(message, self.quote_channel, symbol))

    def send_text(self, text: str | bytes) -> None:
        """Sends a message unchanged to all clients. Ignores the active faults."""
        self.on_loop(lambda: broadcast([client.connection for client in self.clients], text))

    def beat(self) -> None:
        """Sends one heartbeat to every client."""
        self.for_clients(self.send_heartbeat)

    def cut(self) -> None:
        """Cuts all connections without a close frame."""
        self.for_clients(Client.abort)

    def close(self, code: int = 1001) -> None:
        """Closes all connections with a code."""
        self.for_clients(lambda client: self.start_closing(client, code))

    def set_fault(self, name: str, symbol: str = "") -> None:
        """Activates a fault. A cut happens immediately. `symbol` replaces the first symbol in the fault."""
        assert name in FAULTS, f"{name} is no fault"
        self.on_loop(lambda: self._activate(name, symbol or self.symbols[0]))

    def clear_fault(self, name: str) -> None:
        self.on_loop(lambda: self.faults.pop(name, None))

    # What protocols use.

    @property
    def is_mute(self) -> bool:
        return "mute" in self.faults or "mute_daily" in self.faults

    def send(self, client: Client, message: object) -> None:
        """Sends a text, or another value as JSON, to a client. A mute exchange sends nothing."""
        if not self.is_mute:
            broadcast([client.connection], message if isinstance(message, str) else json.dumps(message))

    def publish(self, message: str, channel: str, symbol: str) -> None:
        """Sends a message to the clients that are subscribed to a symbol in a channel."""
        if self.is_mute:
            return
        connections = [client.connection for client in self.clients if symbol in client.subscribed(channel)]
        for _ in range(3 if "every_message_three_times" in self.faults else 1):
            broadcast(connections, message)

    def now(self) -> int:
        """Returns the exchange's time in unix microseconds."""
        return int(self._clock() * 1_000_000) + (CLOCK_AHEAD_US if "clock_ahead" in self.faults else 0)

    def loses_subscription(self, client: Client, symbol: str) -> bool:
        """Returns whether to ignore this subscription. Protocols call this method once per subscribed symbol."""
        is_first = symbol not in client.asked
        client.asked.add(symbol)
        return is_first and self.faults.get("lost_acknowledgement") == symbol

    def send_repeats(self, client: Client, symbol: str) -> None:
        """During the fault `repeats`, sends old trades as live trades. Protocols call this after an acknowledgement."""
        if "repeats" in self.faults and self.ledger.trades(symbol):
            for message in self.trade_messages(self.ledger.newest(symbol, REPEATED_TRADES)):
                self.send(client, message)

    # The server.

    def refusal(self) -> HTTPStatus | None:
        active = (REFUSALS[name] for name in self.faults if name in REFUSALS and name not in self.in_band_faults)
        return next(active, None)

    def answer_request(self, request: RestRequest) -> Answer:
        refusals = (REQUEST_REFUSALS[name] for name in self.faults if name in REQUEST_REFUSALS)
        status = next(refusals, None)
        return self.answer(request) if status is None else Answer({"message": "refused"}, status)

    async def serve_client(self, client: Client) -> None:
        pings = asyncio.create_task(self._ping(client))
        try:
            self.greet(client)
            if "channel_ids" in self.faults:
                self._send_foreign_trades(client)
            async for message in client.connection:
                self._receive(client, message)
        finally:
            pings.cancel()

    def _receive(self, client: Client, message: str | bytes) -> None:
        self.received.append(message if isinstance(message, str) else repr(message))
        limit = MAX_SMALL_MESSAGE_BYTES if "message_too_big" in self.faults else self.max_client_bytes
        if len(message) > limit:
            self.start_closing(client, 1009)
            return
        try:
            decoded = json.loads(message)
        except ValueError:
            decoded = None
        self.receive(client, decoded)

    async def run_in_background(self) -> None:
        """Sends heartbeats."""
        while self._heartbeat_seconds:
            self.beat()
            await asyncio.sleep(self._heartbeat_seconds)

    async def _ping(self, client: Client) -> None:
        """During the fault `busy`, sends pings. Cuts a client that does not answer a ping in time."""
        while True:
            await asyncio.sleep(self._ping_seconds)
            if "busy" not in self.faults:
                continue
            try:
                await asyncio.wait_for(await client.connection.ping(), self._pong_seconds)
                self.pongs += 1
            except TimeoutError:
                self.late_pongs += 1
                client.abort()

    def _activate(self, name: str, symbol: str) -> None:
        self.faults[name] = symbol
        if name == "outage":
            self.cut()
        elif name == "planned_cut":
            self.for_clients(self.announce_cut)
            self.close(1001)
        elif name == "close_1000":
            self.close(1000)
        elif name == "sequence_goes_back":
            for each in self.symbols:
                self.ledger.skip(each, SEQUENCE_JUMP)

    def _make_trades(self, trades: Iterable[NewTrade], sent: bool) -> list[LedgerTrade]:
        made = []
        copies = 1 + (BURST_TRADES if {"burst", "busy"} & self.faults.keys() else 0)
        for trade in trades:
            symbol, price, size = trade[0], Decimal(trade[1]), Decimal(trade[2])
            timestamp = trade[3] if len(trade) == 4 and trade[3] else self.now()
            for _ in range(copies):
                is_late = "late_trades" in self.faults and self.ledger.count % 5 == 4
                made.append(self.ledger.add(symbol, price, size, timestamp - (LATE_US if is_late else 0)))
        if sent:
            self._send_trades(made)
        return made

    def _send_trades(self, trades: Sequence[LedgerTrade]) -> None:
        for symbol, group in groupby(trades, key=attrgetter("symbol")):
            if self.faults.get("silent_symbol") != symbol:
                for message in self.trade_messages(list(group)):
                    self.publish(message, self.trade_channel, symbol)

    def _send_foreign_trades(self, client: Client) -> None:
        """Sends trades at the price 1 without a subscription. The ledger does not hold these trades."""
        for symbol in self.symbols:
            trade = LedgerTrade(symbol, 999_999_999, self.now(), Decimal(1), Decimal(1))
            for message in self.trade_messages([trade]):
                self.send(client, message)
