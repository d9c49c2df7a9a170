"""Connects the adapter of a source to a fake exchange, without the rest of the feeder."""

import asyncio
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from typing import Self, TypeVar

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from feeds.sources.adapter import BadMessage, Credentials, Request, Source
from feeds.sources.events import Bar, Event, Ready, Subscribed, Trade
from tests.exchanges.server import Exchange
from tests.support.waiting import until

Kind = TypeVar("Kind")
SECONDS = 60.0


class Session:
    """One connection. `events` are all events of the adapter. `malformed` are the errors of refused messages."""

    def __init__(self, source: Source, exchange: Exchange, credentials: Credentials | None = None) -> None:
        self.source, self.exchange = source, exchange
        self.adapter = source.make_adapter(credentials or Credentials())
        self.events: list[Event] = []
        self.malformed: list[str] = []
        self.messages = 0
        self.close_code: int | None = None

    async def __aenter__(self) -> Self:
        self.connection = await connect(self.exchange.url, max_size=None, open_timeout=SECONDS)
        await self._send(self.adapter.open())
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.connection.close()
        await self._reading

    async def subscribe(self, *symbols: str) -> None:
        await self._send(self.adapter.subscribe([self.source.to_native(symbol) for symbol in symbols]))

    async def unsubscribe(self, *symbols: str) -> None:
        await self._send(self.adapter.unsubscribe([self.source.to_native(symbol) for symbol in symbols]))

    def of(self, kind: type[Kind]) -> list[Kind]:
        """Returns the events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def trades(self) -> list[Trade]:
        return self.of(Trade)

    async def wait(self, condition: Callable[[], object]) -> None:
        await until(condition, SECONDS)

    async def wait_for(self, *events: Event) -> None:
        await self.wait(lambda: all(event in self.events for event in events))

    async def wait_until_closed(self) -> int | None:
        """Waits until the connection is closed. Returns the close code; 1006 without a close frame."""
        await asyncio.wait_for(asyncio.shield(self._reading), SECONDS)
        return self.close_code

    async def _send(self, messages: Sequence[str]) -> None:
        for message in messages:
            await self.connection.send(message)

    async def _read(self) -> None:
        try:
            while True:
                self._receive(await self.connection.recv())
                await self._send(self.adapter.replies())
        except ConnectionClosed:
            self.close_code = self.connection.close_code

    def _receive(self, message: str | bytes) -> None:
        self.messages += 1
        try:
            self.events += self.adapter.receive(message)
        except BadMessage as error:
            self.events += error.events
            self.malformed.append(str(error))


async def subscribe(session: Session, *symbols: str) -> None:
    """Subscribes and waits for the acknowledgements."""
    await session.wait(lambda: session.of(Ready))
    await session.subscribe(*symbols)
    natives = {session.source.to_native(symbol) for symbol in symbols}
    await session.wait(lambda: natives <= acknowledged(session))


def acknowledged(session: Session) -> set[str]:
    """Returns the native symbols that the exchange has acknowledged."""
    return {native for event in session.of(Subscribed) for native in event.natives}


def get(exchange: Exchange, request: Request) -> tuple[int, bytes]:
    """Sends a request over HTTP. Returns the status and the body of the response."""
    query = urllib.parse.urlencode(request.parameters)
    url = f"{exchange.rest_url}{request.path}?{query}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=dict(request.headers))) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def fetch_trades(source: Source, exchange: Exchange, after: Trade, until: Trade) -> list[Trade]:
    """Returns the trades in the history of a source between two trades, sorted by sequence."""
    trades: dict[str, Trade] = {}
    request = source.history.trades(until.native, after, until)
    while request is not None:
        _, body = get(exchange, request)
        page, request = source.history.read_trades(until.native, request, body, after, until)
        trades |= {trade.id: trade for trade in page}
    return sorted(trades.values(), key=lambda trade: trade.sequence or 0)


def fetch_bars(source: Source, exchange: Exchange, symbol: str, interval: int, start: int, end: int) -> list[Bar]:
    """Returns the closed bars between `start` and `end` (unix microseconds), in the order of the history."""
    native = source.to_native(symbol)
    bars: list[Bar] = []
    request: Request | None = source.history.bars(native, interval, start, end)
    while request is not None:
        _, body = get(exchange, request)
        page, request = source.history.read_bars(native, request, body, start, end)
        bars += page
    return bars
