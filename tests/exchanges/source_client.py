"""Connects an adapter to a fake exchange over real sockets, without the feeder."""

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Self, TypeVar

import httpx
from websockets.sync.client import connect

from feeds.sources.adapter import Adapter, Credentials, Request, Source
from feeds.sources.events import Bar, Event, Ready, Subscribed, Trade
from tests.exchanges.server import Exchange

LONGEST_WAIT_SECONDS = 30.0
Wanted = TypeVar("Wanted", bound=Event)


class SourceClient:
    """One connection, inside its `with` block."""

    def __init__(self, source: Source, exchange: Exchange, credentials: Credentials | None = None) -> None:
        self._source, self._exchange = source, exchange
        self._credentials = credentials or Credentials()
        self._stack = ExitStack()
        self.adapter: Adapter = source.make_adapter(self._credentials)

    def __enter__(self) -> Self:
        self._socket = self._stack.enter_context(connect(self._exchange.url, close_timeout=1))
        self.send(self.adapter.open())
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def send(self, messages: Sequence[str]) -> None:
        for message in messages:
            self._socket.send(message)

    def read(self) -> Sequence[Event]:
        """Returns the events of the next message. Raises ConnectionClosed."""
        events = self.adapter.receive(self._socket.recv(timeout=LONGEST_WAIT_SECONDS))
        self.send(self.adapter.replies())
        return events

    def read_until(self, kind: type[Wanted], count: int = 1) -> list[Wanted]:
        """Reads until there are `count` events of a kind, and returns those."""
        found: list[Wanted] = []
        while len(found) < count:
            found += [event for event in self.read() if isinstance(event, kind)]
        return found

    def subscribe(self, *symbols: str) -> None:
        """Waits until the source is ready, subscribes and waits for the acknowledgement of all symbols."""
        self.read_until(Ready)
        natives = {self._source.to_native(symbol) for symbol in symbols}
        self.send(self.adapter.subscribe(sorted(natives)))
        while natives:
            natives.difference_update(*(event.natives for event in self.read_until(Subscribed)))

    def fetch_trades(self, after: Trade | None, until: Trade) -> list[Trade]:
        """Returns all trades between two, of all pages."""
        history, trades = self._source.history, list[Trade]()
        request = history.trades(until.native, after, until)
        while request is not None:
            page, request = history.read_trades(until.native, request, self.fetch(request), after, until)
            trades += page
        return trades

    def fetch_bars(self, native: str, interval: int, start: int, end: int) -> list[Bar]:
        """Returns all closed bars of a range, of all pages."""
        history, bars = self._source.history, list[Bar]()
        request: Request | None = history.bars(native, interval, start, end)
        while request is not None:
            page, request = history.read_bars(native, request, self.fetch(request), start, end)
            bars += page
        return bars

    def fetch(self, request: Request) -> bytes:
        headers = {**request.headers, **self._source.make_headers(self._credentials)}
        response = httpx.get(f"{self._exchange.rest_url}{request.path}", params=request.parameters, headers=headers)
        return response.raise_for_status().content
