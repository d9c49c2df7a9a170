"""The fan-out of one gateway process: newest update of each symbol, who wants it, and one write a socket and flush.

The way of an update: `take` (once per update) checks that it is newer, builds its frame once and notes it with every
cohort that wants the symbol; `flush` (1 ms later) joins each cohort's frames once and hands the block to its sockets.
A cohort is the sockets with the same symbols: a thousand pages with one list cost one join.

What it may not do: no I/O of its own, no await, no clock, no framework. It is called in one thread only. It asks for
a symbol with `on_first` when its first socket comes, gives it back with `on_last` when the last one goes, and holds
nothing of a symbol in between. What sockets do, it never waits for: an outbox takes or keeps, and returns at once.
"""

from collections.abc import Callable, Iterable, Sequence

from feeds.errors import BadRecord
from feeds.wire import channel_name, decode
from watchlist.gateway.outbox import Item, Outbox
from watchlist.gateway.protocol import text_frame


class Cohort:
    """Sockets with the same symbols, and the updates of the coming flush."""

    __slots__ = ("members", "pending", "symbols")

    def __init__(self, symbols: frozenset[str]) -> None:
        self.symbols = symbols
        self.members: dict[Outbox, None] = {}  # a set that keeps its order, so that runs can be repeated
        self.pending: list[Item] = []


class Quote:
    """What the hub knows of one symbol that somebody wants."""

    __slots__ = ("cohorts", "frame", "order", "sockets", "symbol")

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.order = (-1, -1)
        self.frame = b""
        self.cohorts: dict[Cohort, None] = {}
        self.sockets = 0


class Counts:
    """Plain numbers that metrics read; adding to one costs nothing on the way of an update."""

    __slots__ = ("gaps", "malformed", "sent", "stale", "taken", "unwanted")

    def __init__(self) -> None:
        self.taken = self.sent = self.stale = self.malformed = self.unwanted = self.gaps = 0


class Hub:
    """Sockets subscribe, the intake hands in what was published.

    `schedule` runs a function soon (1 ms later, in this thread); `on_first` and `on_last` are told of a symbol whose
    first socket came and whose last one went.
    """

    def __init__(
        self,
        schedule: Callable[[Callable[[], None]], object],
        on_first: Callable[[str], None],
        on_last: Callable[[str], None],
    ) -> None:
        self.counts = Counts()
        self.newest = 0  # timestamp of the newest update taken, unix microseconds
        self._schedule = schedule
        self._on_first = on_first
        self._on_last = on_last
        self._quotes: dict[bytes, Quote] = {}
        self._cohorts: dict[frozenset[str], Cohort] = {}
        self._touched: list[Cohort] = []

    @property
    def symbols(self) -> list[str]:
        """What somebody wants now."""
        return [quote.symbol for quote in self._quotes.values()]

    @property
    def subscriptions(self) -> int:
        """Pairs of a socket and a symbol."""
        return sum(quote.sockets for quote in self._quotes.values())

    def take(self, channel: bytes, payload: bytes, *, again: bool = False) -> None:
        """Takes one published update in; `again` marks a value read from the store, which is old news as a rule."""
        quote = self._quotes.get(channel)
        if quote is None:
            self.counts.unwanted += 1
            return
        try:
            update = decode(payload)
        except BadRecord:
            self.counts.malformed += 1
            return
        order = (update.timestamp, update.seq_id)
        if update.symbol != quote.symbol:
            self.counts.malformed += 1
        elif order > quote.order:
            self.counts.taken += 1
            self.counts.gaps += update.seq_id - quote.order[1] > 1 and quote.order[1] >= 0
            quote.order = order
            self.newest = max(self.newest, update.timestamp)
            self._note(quote, payload)
        elif not again:
            self.counts.stale += 1

    def flush(self) -> None:
        """Writes what was noted since the last flush, one block to a socket."""
        touched, self._touched = self._touched, []
        for cohort in touched:
            self._flush_cohort(cohort)

    def subscribe(self, outbox: Outbox, symbols: Iterable[str]) -> None:
        """Adds symbols; the newest update of each goes out at once where it is known, else as soon as it is read."""
        new = [symbol for symbol in symbols if symbol not in outbox.symbols]
        known: list[Item] = []
        for symbol in new:
            channel = channel_name(symbol).encode()
            quote = self._quotes.get(channel)
            if quote is None:
                quote = self._quotes[channel] = Quote(symbol)
                self._on_first(symbol)
            quote.sockets += 1
            if quote.frame:
                known.append((symbol, quote.frame))
        self._move(outbox, outbox.symbols.union(new))
        self._send(outbox, known)

    def unsubscribe(self, outbox: Outbox, symbols: Iterable[str]) -> None:
        """Removes symbols; nothing of them is sent to this socket after the return."""
        gone = outbox.symbols.intersection(symbols)
        if not gone:
            return
        self._move(outbox, outbox.symbols - gone)
        for symbol in gone:
            outbox.forget(symbol)
            channel = channel_name(symbol).encode()
            quote = self._quotes[channel]
            quote.sockets -= 1
            if not quote.sockets:
                del self._quotes[channel]
                self._on_last(symbol)

    def leave(self, outbox: Outbox) -> None:
        """The socket is gone."""
        outbox.shut()
        self.unsubscribe(outbox, outbox.symbols)

    def _note(self, quote: Quote, payload: bytes) -> None:
        quote.frame = frame = text_frame(payload)
        item = (quote.symbol, frame)
        for cohort in quote.cohorts:
            if not cohort.pending:
                if not self._touched:
                    self._schedule(self.flush)
                self._touched.append(cohort)
            cohort.pending.append(item)

    def _flush_cohort(self, cohort: Cohort) -> None:
        items, cohort.pending = cohort.pending, []
        if not items:
            return
        block = b"".join([frame for _, frame in items])
        for outbox in cohort.members:
            outbox.write(items, block)
        self.counts.sent += len(items) * len(cohort.members)

    def _send(self, outbox: Outbox, items: Sequence[Item]) -> None:
        if items:
            self.counts.sent += len(items)
            outbox.write(items, b"".join([frame for _, frame in items]))

    def _move(self, outbox: Outbox, symbols: frozenset[str]) -> None:
        """To the cohort of these symbols. Both cohorts flush first: no update is lost or seen twice by the move."""
        if outbox.symbols:
            self._leave_cohort(self._cohorts[outbox.symbols], outbox)
        outbox.symbols = symbols
        if symbols:
            cohort = self._cohorts.get(symbols) or self._make_cohort(symbols)
            self._flush_cohort(cohort)
            cohort.members[outbox] = None

    def _make_cohort(self, symbols: frozenset[str]) -> Cohort:
        cohort = self._cohorts[symbols] = Cohort(symbols)
        for symbol in symbols:
            self._quotes[channel_name(symbol).encode()].cohorts[cohort] = None
        return cohort

    def _leave_cohort(self, cohort: Cohort, outbox: Outbox) -> None:
        self._flush_cohort(cohort)
        del cohort.members[outbox]
        if not cohort.members:
            del self._cohorts[cohort.symbols]
            for symbol in cohort.symbols:
                del self._quotes[channel_name(symbol).encode()].cohorts[cohort]
