"""Defines the parts of a source: properties, an adapter, and requests over HTTP.

Pure: adapters do no I/O. An adapter turns the messages of a source into events, and says which messages to send.
`docs/sources.md` explains how to write an adapter.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum
from typing import Protocol

import msgspec

from feeds.sources.events import Bar, Event, Trade


class BadMessage(Exception):
    """A message of a source does not have the documented shape.

    The text of the error says what is wrong, and contains no part of the message. `events` are the events of the valid
    parts of the message.
    """

    def __init__(self, reason: str, events: Sequence[Event] = ()) -> None:
        super().__init__(reason)
        self.events = tuple(events)


class Market(Enum):
    """When the instruments of a source are traded."""

    ALWAYS = "always"
    US_SHARES = "us_shares"


class Credentials(msgspec.Struct, frozen=True):
    """The key and the secret of an account at a source. Both are empty if the source needs no credentials."""

    key: str = ""
    secret: str = ""

    def __repr__(self) -> str:
        """Returns a text for logs that contains neither the key nor the secret."""
        return f"Credentials(key={'set' if self.key else 'empty'}, secret={'set' if self.secret else 'empty'})"


class Request(msgspec.Struct, frozen=True):
    """A GET request to a source's HTTP service, without the credentials."""

    path: str
    parameters: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}


class Adapter(Protocol):
    """Speaks the protocol of a source on one connection. Each connection gets a new adapter.

    A native symbol is the name that the source gives an instrument.
    """

    def open(self) -> Sequence[str]:
        """Returns the messages to send when the connection is open."""
        ...

    def subscribe(self, natives: Collection[str]) -> Sequence[str]:
        """Returns the messages that subscribe to native symbols. No message is larger than the source allows."""
        ...

    def unsubscribe(self, natives: Collection[str]) -> Sequence[str]:
        """Returns the messages that end the subscriptions to native symbols."""
        ...

    def receive(self, message: str | bytes) -> Sequence[Event]:
        """Returns the events of one message. Raises BadMessage.

        A message of an unknown type gives one Heartbeat.
        """
        ...

    def replies(self) -> Sequence[str]:
        """Returns the messages to send now, such as the credentials. Call this method after each `receive`."""
        ...


class History(Protocol):
    """Makes the requests for a source's HTTP service, and reads the responses. Does no I/O.

    The methods that read a response raise BadMessage.
    """

    def trades(self, native: str, after: Trade | None, until: Trade) -> Request | None:
        """Returns the first request for the trades between the known trades `after` and `until`.

        Returns None if `after` is None, if no trade is missing, or if the source offers no trades.
        """
        ...

    def read_trades(
        self, native: str, request: Request, body: bytes, after: Trade | None, until: Trade
    ) -> tuple[Sequence[Trade], Request | None]:
        """Returns a pair: the missed trades in a response, and the next request.

        The next request is None after the last response. The trades may include trades that the caller knows already,
        but not `after` and `until`.
        """
        ...

    def bars(self, native: str, interval: int, start: int, end: int) -> Request:
        """Returns the first request for the bars from `start` to `end`.

        `interval` is the length of a bar: 60 or 86,400 seconds. `start` and `end` are in unix microseconds.
        """
        ...

    def read_bars(
        self, native: str, request: Request, body: bytes, start: int, end: int
    ) -> tuple[Sequence[Bar], Request | None]:
        """Returns a pair: the finished bars in a response, and the next request.

        The next request is None after the last response. The bars start at `start` or later, and end at `end` or
        earlier.
        """
        ...

    def instruments(self) -> Request | None:
        """Returns the request for all native symbols, or None if the source has no such list."""
        ...

    def read_instruments(self, body: bytes) -> Mapping[str, bool]:
        """Returns a dict from native symbol to whether the instrument is traded now, such as `{"BTC-USD": True}`."""
        ...


def no_headers(_credentials: Credentials) -> Mapping[str, str]:
    """Returns an empty dict, for a source whose HTTP service needs no credentials."""
    return {}


class Source(msgspec.Struct, frozen=True):
    """The properties of a source.

    `name` is a word in lower case, as in FEEDS; `title` is for people. `make_adapter` makes an adapter with the
    credentials. `to_native` turns our symbol into the native symbol. `to_symbol` turns a native symbol into our symbol,
    or returns None if the result is not a valid symbol.

    `url` and `rest_url` are the addresses that the vendor documents. A connection without any message for
    `silent_seconds` counts as dead. `send_interval` is the least number of seconds between two messages to the source.
    `rest_interval` is the least number of seconds between two HTTP requests. `max_age` is the age, in seconds, at which
    a connection is replaced; None means never.

    `make_headers` returns the headers with the credentials for each HTTP request. `is_sequential` says whether gaps in
    `Trade.sequence` show missed trades. `may_redistribute` says whether the vendor's terms allow a public page. `terms`
    says in a few words what these terms allow or forbid.
    """

    name: str
    title: str
    url: str
    rest_url: str
    make_adapter: Callable[[Credentials], Adapter]
    history: History
    to_native: Callable[[str], str]
    to_symbol: Callable[[str], str | None]
    silent_seconds: float
    send_interval: float = 0.0
    rest_interval: float = 1.0
    max_age: float | None = None
    market: Market = Market.ALWAYS
    is_sequential: bool = True
    needs_credentials: bool = False
    may_redistribute: bool = True
    terms: str = ""
    make_headers: Callable[[Credentials], Mapping[str, str]] = no_headers
