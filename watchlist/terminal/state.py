"""Holds the prices and the connection state that `manage.py watch` shows. Pure.

The methods of `WatchState` take parsed frames. docs/protocol.md describes the frames.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from feeds.source_names import SIMULATED
from feeds.stale import Order, is_newer
from feeds.symbols import upper_case
from watchlist.prices.change import change, change_percent, reference_price

MAX_NAME_LENGTH = 40
CONNECTED = "connected"
CLOCK_TOLERANCE_SECONDS = 1.0
MAX_NUMBER = 2**53
"""All valid timestamps and sequence numbers are below this number; `feeds.wire` has the same limit."""


@dataclass(frozen=True, slots=True)
class Feed:
    """The state of a source of real prices. `symbols` maps symbols to their state, such as `halted`."""

    title: str
    state: str
    reason: str
    symbols: Mapping[str, str]


@dataclass(slots=True)
class Row:
    """The ticker and the newest update of one symbol.

    `price`, `timestamp` (unix microseconds) and `seq_id` belong to the newest update. `rejection` is the reason why the
    gateway refused the subscription to the symbol, or empty.
    """

    symbol: str
    name: str = ""
    base_price: float | None = None
    previous_close: float | None = None
    decimals: int = 2
    active: bool = True
    source: str = SIMULATED
    price: float | None = None
    timestamp: int = 0
    seq_id: int = 0
    rejection: str = ""

    @property
    def change(self) -> float | None:
        """Returns `price` minus the reference price; None if one of these prices is unknown."""
        reference = self._reference
        return None if self.price is None or not reference else change(self.price, reference)

    @property
    def change_percent(self) -> float | None:
        """Returns the change in percent, or None if `change` is None."""
        reference = self._reference
        return None if self.price is None or not reference else change_percent(self.price, reference)

    @property
    def _reference(self) -> float:
        return reference_price(self.base_price or 0.0, self.previous_close)


class WatchState:
    """Holds a row per symbol, and the connection's state.

    `state` is the connection's state in words. `live` says whether the gateway has confirmed the subscription. `source`
    is the kind of the gateway's sources, such as `simulated`. `feeds` maps each source of real prices to its state.
    """

    def __init__(self, symbols: Iterable[str], stale_after: float) -> None:
        self.rows = {symbol: Row(symbol) for symbol in map(upper_case, symbols) if symbol}
        self.state = "connecting"
        self.live = False
        self.source = ""
        self.feeds: dict[str, Feed] = {}
        self._stale_after = stale_after
        self._clock_offset = 0  # microseconds; added to the local time gives the gateway's time

    def apply_update(self, frame: Mapping[str, Any]) -> Row | None:
        """Stores a price update in the row of its symbol. Returns the row, or None if nothing was stored.

        An update is not stored if the update is invalid, is not newer than the stored update, or has a symbol without a
        row.
        """
        row = self.rows.get(str(frame.get("symbol")))
        price = _read_number(frame.get("price"))
        timestamp, seq_id = _read_integer(frame.get("timestamp")), _read_integer(frame.get("seq_id"))
        if row is None or price is None or price <= 0 or timestamp is None or seq_id is None:
            return None
        if row.price is not None and not is_newer(Order(timestamp, seq_id), row):
            return None
        row.price, row.timestamp, row.seq_id = price, timestamp, seq_id
        return row

    def apply_ticker(self, frame: Mapping[str, Any]) -> None:
        """Stores the contents of a `ticker` frame in the row of its symbol."""
        row = self.rows.get(str(frame.get("symbol")))
        if row is None:
            return
        row.name = printable(frame.get("name", ""))
        row.base_price, row.previous_close = _read_number(frame.get("base")), _read_number(frame.get("previous_close"))
        decimals = frame.get("decimals")
        row.decimals = min(8, max(0, decimals)) if isinstance(decimals, int) else 2
        row.active = frame.get("active") is not False
        row.source = printable(frame.get("source", SIMULATED))

    def apply_feed(self, frame: Mapping[str, Any]) -> bool:
        """Stores the state of a source from a `feed` frame. Returns whether the state or its reason changed."""
        title, state, reason, source = (printable(frame.get(key, "")) for key in ("title", "state", "reason", "source"))
        feed = Feed(title, state, reason, self._read_symbol_states(frame.get("symbols")))
        before = self.feeds.get(source)
        self.feeds[source] = feed
        return before is None or (before.state, before.reason) != (feed.state, feed.reason)

    def _read_symbol_states(self, symbols: Any) -> dict[str, str]:
        """Returns a dict from watched symbol to state. `symbols` is a dict from state to symbols."""
        states: dict[str, str] = {}
        for state, named in symbols.items() if isinstance(symbols, dict) else ():
            for symbol in named if isinstance(named, list) else ():
                if isinstance(symbol, str) and symbol in self.rows:
                    states[symbol] = printable(state)
        return states

    def troubles(self) -> list[str]:
        """Returns a text such as `Kraken: silent` for each source that has a row and is not connected."""
        sources = {row.source for row in self.rows.values()}
        return [
            f"{feed.title}: {feed.state}" + (f" ({feed.reason})" if feed.reason else "")
            for source, feed in sorted(self.feeds.items())
            if source in sources and feed.state != CONNECTED
        ]

    def symbol_state(self, row: Row) -> str:
        """Returns the state of a symbol at the source: `closed`, `halted`, `unknown` or an empty text."""
        feed = self.feeds.get(row.source)
        return feed.symbols.get(row.symbol, "") if feed else ""

    def apply_ack(self, frame: Mapping[str, Any]) -> None:
        """Applies the answer to the subscribe request: sets `live`, `state` and the `rejection` of each row."""
        rejected = frame.get("rejected")
        for symbol, row in self.rows.items():
            row.rejection = printable(rejected.get(symbol, "")) if isinstance(rejected, dict) else ""
        self.live, self.state = True, "live"

    def apply_heartbeat(self, frame: Mapping[str, Any], now: int) -> bool:
        """Stores the gateway's time and the kind of the sources from a heartbeat.

        `now` is the local time in unix microseconds. Returns whether the kind of the sources changed.
        """
        timestamp = _read_integer(frame.get("timestamp"))
        if timestamp is not None:
            self._clock_offset = timestamp - now
        before, self.source = self.source, printable(frame.get("source", ""))
        return before != self.source

    def disconnect(self, state: str) -> None:
        """Sets `live` to False and stores `state`, the connection's state in words.

        Keeps the prices, and forgets the states of sources.
        """
        self.live, self.state = False, state
        self.feeds.clear()

    def age(self, row: Row, now: int) -> float | None:
        """Returns the age of the newest update of the row in seconds, by the gateway's clock.

        Returns None if the update is more than CLOCK_TOLERANCE_SECONDS in the future.
        """
        # Network delay makes the gateway's clock inexact, so that an update can seem to be in the future.
        age = (now + self._clock_offset - row.timestamp) / 1e6
        return None if age < -CLOCK_TOLERANCE_SECONDS else max(0.0, age)

    def is_stale(self, row: Row, now: int) -> bool:
        """Returns whether the price of a row is stale.

        A price from a source of real prices is stale while the source is not connected. A simulated price is stale if
        it is older than `stale_after` seconds.
        """
        if row.price is None:
            return False
        if (feed := self.feeds.get(row.source)) is not None:
            return feed.state != CONNECTED
        return row.source == SIMULATED and (self.age(row, now) or 0.0) > self._stale_after


def is_update(frame: Mapping[str, Any]) -> bool:
    """Returns whether a frame is a price update, which has the keys `price` and `seq_id`."""
    return "price" in frame and "seq_id" in frame


def printable(value: Any) -> str:
    """Returns the beginning of a text from the gateway, without unprintable characters."""
    # Control characters could control the terminal.
    return "".join(filter(str.isprintable, str(value)[: 2 * MAX_NAME_LENGTH]))[:MAX_NAME_LENGTH]


def _read_number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and -inf < value < inf and abs(value) < 1e300 else None


def _read_integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MAX_NUMBER else None
