"""Speaks the WebSocket protocol of Alpaca's market data.

Pure: no I/O. https://docs.alpaca.markets/docs/streaming-market-data describes the protocol. Corrections and
cancellations of trades are ignored.
"""

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

import msgspec

from feeds.errors import UnknownSource
from feeds.sources.adapter import Credentials, Market, Source
from feeds.sources.decoding import decode, decode_parts, printable, read_number, read_time
from feeds.sources.events import (
    BestPrices,
    Event,
    Failure,
    Heartbeat,
    Ready,
    Subscribed,
    SymbolRefused,
    SymbolState,
    SymbolStatus,
)
from feeds.sources.history.alpaca import AlpacaHistory, TradeRow, make_headers, read_trade
from feeds.sources.routes import chunks
from feeds.symbols import is_symbol

CHUNK = 100
"""The greatest number of symbols in one request."""

STATES = dict.fromkeys("2HP", SymbolState.HALTED) | dict.fromkeys("3T", SymbolState.TRADING)
"""A dict from status code to state. Nasdaq's shares (tape C) have letters as codes. Other shares have digits."""

REFUSED_REQUEST = frozenset({400, 405, 409, 410})
"""The codes of errors that refuse the oldest unanswered request. Examples are invalid syntax and too many symbols."""

ALREADY_AUTHENTICATED = 403
"""The code of an error that is ignored: the connection is authenticated already."""

WAIT_AFTER_LIMIT = 90.0
"""How many seconds to wait if Alpaca allows no further connection. Alpaca counts a lost connection for this long."""

FAILURES = {
    401: Failure("Alpaca says that the connection is not authenticated"),
    402: Failure("Alpaca refuses the key: check ALPACA_KEY_ID and ALPACA_SECRET_KEY", permanent=True),
    404: Failure("Alpaca got the key too late"),
    406: Failure("another program uses this key: Alpaca allows one connection", wait=WAIT_AFTER_LIMIT),
    407: Failure("Alpaca closed the connection because it was read too slowly"),
    409: Failure("the plan of this key does not include this feed of Alpaca: change ALPACA_FEED", permanent=True),
    500: Failure("Alpaca has an internal error"),
}

TERMS = "Alpaca's terms forbid showing its prices to the public"


class Feed(msgspec.Struct, frozen=True):
    """One of Alpaca's streams.

    `path` is the path of the stream's URL. `liveness` is a symbol whose minute bars show that the stream is alive.
    `has_statuses` says whether the stream tells when the trading of a symbol is halted.
    """

    title: str
    path: str
    liveness: str
    market: Market
    history: AlpacaHistory
    has_statuses: bool = True


def _share_feed(title: str, path: str, feed: str) -> Feed:
    history = AlpacaHistory("/v2/stocks", {"feed": feed}, {"adjustment": "split"})
    return Feed(title, path, "SPY", Market.US_SHARES, history)


FEEDS = {
    "iex": _share_feed("Alpaca (IEX)", "/v2/iex", "iex"),
    "sip": _share_feed("Alpaca (SIP)", "/v2/sip", "sip"),
    "delayed_sip": _share_feed("Alpaca (SIP, 15 minutes late)", "/v2/delayed_sip", "sip"),
    "crypto": Feed(
        "Alpaca (crypto)",
        "/v1beta3/crypto/us",
        "BTC/USD",
        Market.ALWAYS,
        AlpacaHistory("/v1beta3/crypto/us", {}, {}),
        has_statuses=False,
    ),
    "test": Feed(
        "Alpaca (test stream)",
        "/v2/test",
        "FAKEPACA",
        Market.ALWAYS,
        AlpacaHistory("/v2/stocks", {"feed": "iex"}, {"adjustment": "split"}, has_trades=False),
        has_statuses=False,
    ),
}


class _Kind(msgspec.Struct):
    kind: str = msgspec.field(name="T")


class _Trade(TradeRow, kw_only=True):
    symbol: str = msgspec.field(name="S")


class _Quote(msgspec.Struct):
    symbol: str = msgspec.field(name="S")
    bid: float = msgspec.field(name="bp")
    ask: float = msgspec.field(name="ap")
    time: str = msgspec.field(name="t")


class _Status(msgspec.Struct):
    symbol: str = msgspec.field(name="S")
    code: str = msgspec.field(name="sc")


class _Control(msgspec.Struct):
    """A message about the connection itself. `trades` lists all symbols with a subscription to trades."""

    msg: str = ""
    code: int = 0
    trades: list[str] | None = None


_RAW = msgspec.json.Decoder(msgspec.Raw)
_KIND = msgspec.json.Decoder(_Kind)
_TRADE = msgspec.json.Decoder(_Trade)
_QUOTE = msgspec.json.Decoder(_Quote)
_STATUS = msgspec.json.Decoder(_Status)
_CONTROL = msgspec.json.Decoder(_Control)


class AlpacaAdapter:
    """Speaks Alpaca's protocol on one connection.

    `_requests` is a queue with an item for each unanswered request, oldest first. An item holds the symbols whose
    prices were requested. An item is empty if the request was not for prices.
    """

    def __init__(self, credentials: Credentials, feed: Feed) -> None:
        self._credentials = credentials
        self._feed = feed
        # Alpaca answers requests in order.
        self._requests: deque[tuple[str, ...]] = deque()
        self._wanted: set[str] = set()
        self._acknowledged: set[str] = set()
        self._replies: list[str] = []
        self._readers: Mapping[str, Callable[[msgspec.Raw], Sequence[Event]]] = {
            "t": self._read_trade,
            "q": self._read_quote,
            "s": self._read_status,
            "success": self._read_success,
            "subscription": self._read_subscription,
            "error": self._read_error,
        }

    def open(self) -> Sequence[str]:
        return ()  # Alpaca speaks first

    def subscribe(self, natives: Collection[str]) -> Sequence[str]:
        self._wanted.update(natives)
        return [request for chunk in chunks(natives, CHUNK) for request in self._subscribe_chunk(chunk)]

    def unsubscribe(self, natives: Collection[str]) -> Sequence[str]:
        self._wanted.difference_update(natives)
        self._acknowledged.difference_update(natives)
        channels = ("trades", "quotes", "statuses") if self._feed.has_statuses else ("trades", "quotes")
        return [self._request("unsubscribe", {channel: tuple(natives) for channel in channels})] if natives else []

    def receive(self, message: str | bytes) -> Sequence[Event]:
        """Returns the events of all parts of a message. Raises BadMessage with the events of the valid parts."""
        return decode_parts(_RAW, decode(_RAW, message), self._read_part) or [Heartbeat()]

    def replies(self) -> Sequence[str]:
        replies, self._replies = self._replies, []
        return replies

    def _subscribe_chunk(self, natives: tuple[str, ...]) -> list[str]:
        """Returns a request for prices. If the feed has statuses, also returns a request for statuses."""
        requests = [self._request("subscribe", {"trades": natives, "quotes": natives}, natives)]
        if self._feed.has_statuses:
            # A separate request: if Alpaca refuses the statuses, prices still come.
            requests.append(self._request("subscribe", {"statuses": natives}))
        return requests

    def _request(self, action: str, channels: Mapping[str, tuple[str, ...]], natives: tuple[str, ...] = ()) -> str:
        self._requests.append(natives)
        return msgspec.json.encode({"action": action, **channels}).decode()

    def _read_part(self, part: msgspec.Raw) -> Sequence[Event]:
        reader = self._readers.get(decode(_KIND, part).kind)
        return reader(part) if reader else ()

    def _read_trade(self, part: msgspec.Raw) -> Sequence[Event]:
        row = decode(_TRADE, part)
        trade = read_trade(row.symbol, row)
        return [trade] if row.symbol in self._acknowledged else ()

    def _read_quote(self, part: msgspec.Raw) -> Sequence[Event]:
        row = decode(_QUOTE, part)
        bid, ask = read_number(row.bid), read_number(row.ask)
        best = BestPrices(row.symbol, bid, ask, read_time(row.time))
        # A price of 0 means that this side has no orders.
        return [best] if bid and ask and row.symbol in self._acknowledged else ()

    def _read_status(self, part: msgspec.Raw) -> Sequence[Event]:
        row = decode(_STATUS, part)
        state = STATES.get(row.code)
        return [SymbolStatus(row.symbol, state)] if state and row.symbol in self._acknowledged else ()

    def _read_success(self, part: msgspec.Raw) -> Sequence[Event]:
        said = decode(_CONTROL, part).msg
        if said == "connected":
            key, secret = self._credentials.key, self._credentials.secret
            self._replies.append(msgspec.json.encode({"action": "auth", "key": key, "secret": secret}).decode())
        if said != "authenticated":
            return ()
        # Alpaca sends no heartbeats.
        self._replies.append(self._request("subscribe", {"bars": (self._feed.liveness,)}))
        return [Ready()]

    def _read_subscription(self, part: msgspec.Raw) -> Sequence[Event]:
        """Reads Alpaca's list of all subscriptions. Returns an event with the symbols that were not listed before."""
        if self._requests:
            self._requests.popleft()
        listed = dict.fromkeys(decode(_CONTROL, part).trades or ())
        added = tuple(native for native in listed if native in self._wanted and native not in self._acknowledged)
        # A symbol that is missing in the list is no error: Alpaca may list it later.
        self._acknowledged = self._wanted.intersection(listed)
        return [Subscribed(added)] if added else ()

    def _read_error(self, part: msgspec.Raw) -> Sequence[Event]:
        error = decode(_CONTROL, part)
        if error.code == ALREADY_AUTHENTICATED:
            return ()
        reason = f"Alpaca says: {self._hide_secret(error.msg)} (code {error.code})"
        if error.code in REFUSED_REQUEST and self._requests:
            return self._refuse(self._requests.popleft(), reason)
        return [FAILURES.get(error.code, Failure(reason))]

    def _refuse(self, natives: tuple[str, ...], reason: str) -> Sequence[Event]:
        """Handles an error that Alpaca sent for a subscription request.

        If the request had several symbols, requests each half of the symbols again. If the request had one symbol,
        returns a SymbolRefused event.
        """
        wanted = tuple(native for native in natives if native in self._wanted)
        if len(wanted) > 1:
            half = len(wanted) // 2
            for part in (wanted[:half], wanted[half:]):
                self._replies.append(self._request("subscribe", {"trades": part, "quotes": part}, part))
            return ()
        self._wanted.difference_update(wanted)
        return [SymbolRefused(native, reason) for native in wanted]

    def _hide_secret(self, text: str) -> str:
        for word in (self._credentials.secret, self._credentials.key):
            text = text.replace(word, "***") if word else text
        return printable(text)


def to_symbol(native: str) -> str | None:
    """Returns `native`, or None if `native` is not a valid symbol of ours."""
    return native if is_symbol(native) else None


def alpaca_source(feed: str = "iex") -> Source:
    """Returns the source Alpaca with the feed `feed`. Raises UnknownSource if FEEDS does not have this feed."""
    if feed not in FEEDS:
        raise UnknownSource(f"Alpaca has no feed “{feed[:20]}”. Set ALPACA_FEED to one of: {', '.join(FEEDS)}.")
    properties = FEEDS[feed]
    return Source(
        name="alpaca",
        title=properties.title,
        url=f"wss://stream.data.alpaca.markets{properties.path}",
        rest_url="https://data.alpaca.markets",
        make_adapter=partial(AlpacaAdapter, feed=properties),
        history=properties.history,
        to_native=str,
        to_symbol=to_symbol,
        silent_seconds=150,
        rest_interval=0.35,
        market=properties.market,
        is_sequential=False,
        needs_credentials=True,
        may_redistribute=False,
        terms=TERMS,
        make_headers=make_headers,
    )
