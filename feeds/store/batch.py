"""Groups updates by symbol, oldest first, for one write to Redis. Pure."""

from collections.abc import Iterable, Sequence

from feeds.stale import is_newer
from feeds.wire import Update

EncodedUpdate = tuple[Update, bytes]
"""An update and the bytes from which it was decoded."""


class SymbolUpdates:
    """The updates of one symbol, each newer than the update before.

    `first` and `last` are the first and the last update. `values` holds the encoded bytes of all updates.
    """

    __slots__ = ("first", "last", "values")

    def __init__(self, update: Update, value: bytes) -> None:
        self.first = self.last = update
        self.values = [value]


class Batch:
    """The updates of one write to Redis.

    `by_symbol` is a dict from symbol to its updates. `size` is the number of updates that were passed to `add`. `stale`
    is the number of updates that `add` dropped.
    """

    __slots__ = ("by_symbol", "size", "stale")

    def __init__(self, parts: Iterable[Sequence[EncodedUpdate]] = ()) -> None:
        self.by_symbol: dict[str, SymbolUpdates] = {}
        self.size = 0
        self.stale = 0
        for updates in parts:
            self.add(updates)

    def add(self, updates: Sequence[EncodedUpdate]) -> None:
        """Adds updates in the given order. Drops stale updates.

        An update is stale if the batch already has an equal or a newer update of the same symbol.
        """
        by_symbol = self.by_symbol
        self.size += len(updates)
        for update, value in updates:
            known = by_symbol.get(update.symbol)
            if known is None:
                by_symbol[update.symbol] = SymbolUpdates(update, value)
            elif is_newer(update, known.last):
                known.last = update
                known.values.append(value)
            else:
                self.stale += 1

    @property
    def oldest_timestamp(self) -> int:
        """The lowest timestamp, in unix microseconds. The batch must not be empty."""
        return min(updates.first.timestamp for updates in self.by_symbol.values())
