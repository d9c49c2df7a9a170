"""What a client of `/ws` knows: the symbols it watches, their newest prices, and how the connection does.

Pure. Frames come in parsed, as docs/protocol.md describes them; a screen reads what is here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from feeds.stale import Order, is_newer
from feeds.symbols import upper_case

LONGEST_NAME = 40


@dataclass(slots=True)
class Row:
    """One symbol. `base` and `close` (the previous day's) are prices, `timestamp` unix microseconds."""

    symbol: str
    name: str = ""
    base: float | None = None
    close: float | None = None
    decimals: int = 2
    active: bool = True
    price: float | None = None
    timestamp: int = 0
    seq_id: int = 0
    trouble: str = ""

    @property
    def change(self) -> tuple[float, float] | None:
        """Against the previous close, before there was one against the base price: in money and in percent."""
        against = self.close if self.close is not None else self.base
        if self.price is None or not against:
            return None
        return self.price - against, (self.price / against - 1) * 100


class WatchState:
    """Rows in the order they were asked for. `state` says in words how the connection does."""

    def __init__(self, symbols: Iterable[str], stale_after: float) -> None:
        self.rows = {symbol: Row(symbol) for symbol in map(upper_case, symbols) if symbol}
        self.state = "connecting"
        self.live = False
        self.source = ""
        self._stale_after = stale_after
        self._ahead = 0  # microseconds that the gateway's clock is ahead of ours

    def take_update(self, frame: Mapping[str, Any]) -> Row | None:
        """The row that is newer now; None for what is stale, not watched or no price update."""
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

    def take_ticker(self, frame: Mapping[str, Any]) -> None:
        """A frame of `?meta=1`."""
        row = self.rows.get(str(frame.get("symbol")))
        if row is None:
            return
        # A name is put on a terminal: what could steer it stays out.
        row.name = "".join(letter for letter in str(frame.get("name", "")) if letter.isprintable())[:LONGEST_NAME]
        row.base, row.close = _number(frame.get("base")), _number(frame.get("previous_close"))
        decimals = frame.get("decimals")
        row.decimals = min(8, max(0, decimals)) if isinstance(decimals, int) else 2
        row.active = frame.get("active") is not False

    def take_ack(self, frame: Mapping[str, Any]) -> None:
        """The answer to the subscription: from now on prices come, but not of what was rejected."""
        rejected = frame.get("rejected") or {}
        for symbol, row in self.rows.items():
            row.trouble = str(rejected.get(symbol, ""))
        self.live, self.state = True, "live"

    def take_time(self, frame: Mapping[str, Any], now: int) -> bool:
        """A heartbeat; `now` is our own clock, in unix microseconds. Whether the source of prices is another."""
        timestamp = frame.get("timestamp")
        if isinstance(timestamp, int):
            self._ahead = timestamp - now
        before, self.source = self.source, str(frame.get("source", ""))[:LONGEST_NAME]
        return before != self.source

    def lose(self, state: str) -> None:
        """The connection is gone; prices stay and grow old."""
        self.live, self.state = False, state

    def age(self, row: Row, now: int) -> float:
        """Seconds since the price was made, by the gateway's clock."""
        return max(0, now + self._ahead - row.timestamp) / 1e6

    def is_stale(self, row: Row, now: int) -> bool:
        return row.price is not None and self.age(row, now) > self._stale_after


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
