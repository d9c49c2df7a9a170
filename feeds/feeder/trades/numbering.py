"""Gives each trade of one symbol a seq_id, and encodes the trades as updates. Pure.

The seq_id grows by one with each update. A trade is late if it comes after a newer trade of its symbol. A late trade
never becomes the newest update.
"""

import msgspec

from feeds.records import TopicEnd
from feeds.sources.events import Trade


class _TradeUpdate(msgspec.Struct, gc=False, omit_defaults=True):
    """An update with the size of its trade. `bid` and `ask` are the best prices, if known."""

    symbol: str
    price: float
    timestamp: int
    seq_id: int
    size: float | msgspec.UnsetType = msgspec.UNSET
    bid: float | msgspec.UnsetType = msgspec.UNSET
    ask: float | msgspec.UnsetType = msgspec.UNSET


_encode = msgspec.json.Encoder().encode


class Numbering:
    """Holds the last seq_id and the newest time of one symbol.

    `end` describes the symbol's last updates in the topic. The seq_ids continue after these updates. If `end` is None,
    the first seq_id is `now_ms`, the unix time in milliseconds.
    """

    __slots__ = ("newest", "seq_id", "symbol")

    def __init__(self, symbol: str, end: TopicEnd | None, now_ms: int) -> None:
        self.symbol = symbol
        self.seq_id = now_ms - 1 if end is None else end.seq_id
        self.newest = 0 if end is None else end.timestamp

    def encode(self, trade: Trade, late: bool, prices: tuple[float, float] | None = None) -> bytes:
        """Returns the next update of the symbol as JSON.

        `prices` are the best bid and ask; None if they are unknown. A late trade gets a time before the newest
        published time.
        """
        timestamp = trade.timestamp
        if timestamp >= self.newest:
            if late and self.newest:
                timestamp = self.newest - 1
            else:
                self.newest = timestamp
        self.seq_id += 1
        if prices is None:
            return _encode(_TradeUpdate(self.symbol, trade.price, timestamp, self.seq_id, trade.size))
        return _encode(_TradeUpdate(self.symbol, trade.price, timestamp, self.seq_id, trade.size, *prices))
