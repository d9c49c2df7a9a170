"""Holds the updates that wait while a client does not read.

Pure. `LatestBacklog` serves mode `latest`, `AllBacklog` serves mode `all`.
"""

from collections import deque

from feeds.wire import decode
from watchlist.gateway.counts import HubCounts
from watchlist.gateway.messages import UpdateMessage


class LatestBacklog:
    """Keeps the newest update of each symbol. Counts each replaced update in `counts.conflated`."""

    __slots__ = ("_counts", "_newest", "conflated")

    def __init__(self, counts: HubCounts) -> None:
        self._counts = counts
        self._newest: dict[str, UpdateMessage] = {}
        self.conflated = 0
        """The number of waiting updates that a newer one has replaced."""

    def __len__(self) -> int:
        return len(self._newest)

    def add(self, update: UpdateMessage) -> None:
        newest = self._newest
        if update.symbol in newest:
            self.conflated += 1
            self._counts.conflated += 1
        newest[update.symbol] = update

    def discard(self, symbol: str) -> None:
        self._newest.pop(symbol, None)

    def pop_all(self) -> list[UpdateMessage]:
        updates, self._newest = list(self._newest.values()), {}
        return updates


class AllBacklog:
    """Keeps the last `max_updates` updates of all symbols together, and also the newest update of each symbol.

    All other updates are dropped, and counted in `counts.lost`. `losses` maps each symbol to the smallest and the
    greatest seq_id of its dropped updates.
    """

    __slots__ = ("_counts", "_kept", "_losses", "_max_updates", "_newest", "_queue", "conflated")

    def __init__(self, max_updates: int, losses: dict[str, tuple[int, int]], counts: HubCounts) -> None:
        self._max_updates = max_updates
        self._losses = losses
        self._counts = counts
        self._queue: deque[UpdateMessage] = deque()
        self._newest: dict[str, UpdateMessage] = {}
        self._kept: dict[str, UpdateMessage] = {}
        self.conflated = 0
        """The number of dropped updates."""

    def __len__(self) -> int:
        return len(self._queue) + len(self._kept)

    def add(self, update: UpdateMessage) -> None:
        symbol = update.symbol
        if symbol in self._kept:
            self._drop(self._kept.pop(symbol))
        self._queue.append(update)
        self._newest[symbol] = update
        if len(self._queue) > self._max_updates:
            oldest = self._queue.popleft()
            if self._newest[oldest.symbol] is oldest:
                self._kept[oldest.symbol] = oldest
            else:
                self._drop(oldest)

    def discard(self, symbol: str) -> None:
        self._queue = deque(update for update in self._queue if update.symbol != symbol)
        self._newest.pop(symbol, None)
        self._kept.pop(symbol, None)

    def pop_all(self) -> list[UpdateMessage]:
        updates = [*self._kept.values(), *self._queue]
        self._queue, self._newest, self._kept = deque(), {}, {}
        return updates

    def _drop(self, update: UpdateMessage) -> None:
        self.conflated += 1
        self._counts.lost += 1
        seq_id = decode(update.payload).seq_id
        first, last = self._losses.get(update.symbol, (seq_id, seq_id))
        # After a restart of the numbers, a later update has a smaller number. The range then covers both numbers.
        self._losses[update.symbol] = (min(first, seq_id), max(last, seq_id))
