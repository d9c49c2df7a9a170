"""Holds the prices and the connection state that `manage.py watch` shows. Pure.

Takes parsed frames as docs/protocol.md describes them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from feeds.stale import Order, is_newer
from feeds.symbols import upper_case
from watchlist.prices.change import change, change_percent, reference_price

MAX_NAME_LENGTH = 40


@dataclass(slots=True)
class Row:
    """What is known of one symbol. `price`, `timestamp` (unix microseconds) and `seq_id` are of the newest update.

    `rejection` is the gateway's reason for refusing the subscription to the symbol, or empty.
    """

    symbol: str
    name: str = ""
    base_price: float | None = None
    previous_close: float | None = None
    decimals: int = 2
    active: bool = True
    price: float | None = None
    timestamp: int = 0
    seq_id: int = 0
    rejection: str = ""

    @property
    def change(self) -> float | None:
        """Returns the change from the reference price, or None if either price is unknown."""
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
    """The rows by symbol, in the order of the given symbols, and the connection's state.

    `state` is the connection's state in words. `live` says whether the gateway has confirmed the subscription. `source`
    names where prices come from. `stale_after` is in seconds.
    """

    def __init__(self, symbols: Iterable[str], stale_after: float) -> None:
        self.rows = {symbol: Row(symbol) for symbol in map(upper_case, symbols) if symbol}
        self.state = "connecting"
        self.live = False
        self.source = ""
        self._stale_after = stale_after
        self._clock_offset = 0  # microseconds; added to the local time gives the gateway's time

    def apply_update(self, frame: Mapping[str, Any]) -> Row | None:
        """Applies a price update. Returns the changed row.

        Returns None if the frame is invalid, stale, or of a symbol without a row.
        """
        row = self.rows.get(str(frame.get("symbol")))
        price, timestamp, seq_id = frame.get("price"), frame.get("timestamp"), frame.get("seq_id")
        if row is None or not isinstance(price, int | float):
            return None
        if not isinstance(timestamp, int) or not isinstance(seq_id, int):
            return None
        if row.price is not None and not is_newer(Order(timestamp, seq_id), row):
            return None
        row.price, row.timestamp, row.seq_id = price, timestamp, seq_id
        return row

    def apply_ticker(self, frame: Mapping[str, Any]) -> None:
        """Applies a `ticker` frame, which describes a ticker, to the row of its symbol."""
        row = self.rows.get(str(frame.get("symbol")))
        if row is None:
            return
        # Control characters in a name could send commands to the terminal.
        name = filter(str.isprintable, str(frame.get("name", "")))
        row.name = "".join(name)[:MAX_NAME_LENGTH]
        row.base_price, row.previous_close = _read_number(frame.get("base")), _read_number(frame.get("previous_close"))
        decimals = frame.get("decimals")
        row.decimals = min(8, max(0, decimals)) if isinstance(decimals, int) else 2
        row.active = frame.get("active") is not False

    def apply_ack(self, frame: Mapping[str, Any]) -> None:
        """Applies the answer to the subscription. The state becomes live, and rejected symbols get their reasons."""
        rejected = frame.get("rejected") or {}
        for symbol, row in self.rows.items():
            row.rejection = str(rejected.get(symbol, ""))
        self.live, self.state = True, "live"

    def apply_heartbeat(self, frame: Mapping[str, Any], now: int) -> bool:
        """Applies a heartbeat: the gateway's time and the source. Returns whether the source changed.

        `now` is the local time in unix microseconds.
        """
        timestamp = frame.get("timestamp")
        if isinstance(timestamp, int):
            self._clock_offset = timestamp - now
        before, self.source = self.source, str(frame.get("source", ""))[:MAX_NAME_LENGTH]
        return before != self.source

    def disconnect(self, state: str) -> None:
        """Marks the connection as lost and sets `state`, the words for it. Prices stay."""
        self.live, self.state = False, state

    def age(self, row: Row, now: int) -> float:
        """Returns the seconds since the newest update of the row, by the gateway's clock."""
        return max(0, now + self._clock_offset - row.timestamp) / 1e6

    def is_stale(self, row: Row, now: int) -> bool:
        return row.price is not None and self.age(row, now) > self._stale_after


def _read_number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
