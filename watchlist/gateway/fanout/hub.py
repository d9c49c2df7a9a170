"""The fan-out of one gateway process: newest update of each symbol, who wants it, and one write a socket and flush.

The way of an update: `take` (once per update) checks that it is newer, builds its frame once and notes it with every
cohort that wants the symbol; `flush` (1 ms later; a few where it has a thousand cohorts) joins each cohort's frames
once and hands the block to its sockets. A cohort is the sockets with the same symbols and the same delivery: a thousand
pages with one list cost one join.

What it may not do: no I/O of its own, no await, no clock, no framework. It is called in one thread only. It asks for
a symbol with `on_first` when its first socket comes, gives it back with `on_last` when the last one goes, and holds
nothing of a symbol in between. What sockets do, it never waits for: an outbox takes or keeps, and returns at once.
"""

from collections.abc import Callable, Iterable

from feeds.errors import BadRecord
from feeds.wire import channel_name, decode
from watchlist.gateway.fanout.cohort import Cohort, Pacer, Quote, Schedule
from watchlist.gateway.fanout.delivery import Delivery, Item
from watchlist.gateway.fanout.outbox import Outbox
from watchlist.gateway.protocol import text_frame

FLUSH_AFTER = 0.001
"""Seconds from an update to the write; what arrives within them shares one write a socket."""
FOR_COHORT = 5e-6
LATEST_FLUSH = 0.006
"""Each cohort of the last flush has the next one wait so much longer, up to so much: a thousand lists that all differ
are a thousand joins and writes, and what comes meanwhile shares them."""


class Counts:
    """Plain numbers that metrics read; adding to one costs nothing on the way of an update."""

    __slots__ = ("gaps", "malformed", "sent", "stale", "taken", "unwanted")

    def __init__(self) -> None:
        self.taken = self.sent = self.stale = self.malformed = self.unwanted = self.gaps = 0


class Hub:
    """Sockets subscribe, the intake hands in what was published.

    `schedule` runs a function after so many seconds, in this thread; `on_first` and `on_last` are told of a symbol
    whose first socket came and whose last one went.
    """

    def __init__(self, schedule: Schedule, on_first: Callable[[str], None], on_last: Callable[[str], None]) -> None:
        self.counts = Counts()
        self.newest = 0  # timestamp of the newest update taken, unix microseconds
        self._schedule = schedule
        self._on_first = on_first
        self._on_last = on_last
        self._quotes: dict[bytes, Quote] = {}
        self._cohorts: dict[tuple[frozenset[str], Delivery], Cohort] = {}
        self._pacers: dict[float, Pacer] = {}
        self._touched: list[Cohort] = []
        self._wait = FLUSH_AFTER
        self._version = 0

    @property
    def symbols(self) -> list[str]:
        """What somebody wants now."""
        return [quote.symbol for quote in self._quotes.values()]

    @property
    def subscriptions(self) -> int:
        """Pairs of a socket and a symbol."""
        return sum(quote.sockets for quote in self._quotes.values())

    def take(self, channel: bytes, payload: bytes, *, read: bool = False) -> None:
        """Takes one published update in; `read` marks a value read from the store, which is old news as a rule."""
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
            first = quote.item is None
            self.counts.taken += 1
            self.counts.gaps += not first and update.seq_id - quote.order[1] > 1
            quote.order = order
            quote.read = read and first
            if update.timestamp > self.newest:
                self.newest = update.timestamp
            self._note(quote, payload)
        elif not read:
            self.counts.stale += 1

    def flush(self) -> None:
        """Writes what was noted since the last flush, one block to a socket."""
        touched, self._touched = self._touched, []
        self._wait = min(LATEST_FLUSH, FLUSH_AFTER + FOR_COHORT * len(touched))
        for cohort in touched:
            self._flush_cohort(cohort)

    def subscribe(self, outbox: Outbox, symbols: Iterable[str]) -> None:
        """Adds symbols; the newest update of each goes out at once where it is known, else as soon as it is read."""
        new = [symbol for symbol in symbols if symbol not in outbox.symbols]
        known: list[Item] = []
        for symbol in new:
            quote = self._want(symbol)
            quote.sockets += 1
            if quote.item is not None:
                known.append(quote.item)
        self._move(outbox, outbox.symbols.union(new), outbox.delivery)
        if known and outbox.delivery.snapshot:
            self.counts.sent += len(known)
            outbox.write(known, outbox.delivery.block(known))

    def unsubscribe(self, outbox: Outbox, symbols: Iterable[str]) -> None:
        """Removes symbols; nothing of them is sent to this socket after the return."""
        gone = outbox.symbols.intersection(symbols)
        if not gone:
            return
        self._move(outbox, outbox.symbols - gone, outbox.delivery)
        for symbol in gone:
            outbox.forget(symbol)
            channel = channel_name(symbol).encode()
            quote = self._quotes[channel]
            quote.sockets -= 1
            if not quote.sockets:
                del self._quotes[channel]
                self._on_last(symbol)

    def change_delivery(self, outbox: Outbox, delivery: Delivery) -> None:
        """Has this socket's updates come another way from now on."""
        if delivery != outbox.delivery:
            self._move(outbox, outbox.symbols, delivery)

    def leave(self, outbox: Outbox) -> None:
        """The socket is gone."""
        outbox.shut()
        self.unsubscribe(outbox, outbox.symbols)

    def _want(self, symbol: str) -> Quote:
        channel = channel_name(symbol).encode()
        quote = self._quotes.get(channel)
        if quote is None:
            quote = self._quotes[channel] = Quote(symbol)
            self._on_first(symbol)
        return quote

    def _note(self, quote: Quote, payload: bytes) -> None:
        self._version += 1
        quote.version = self._version
        quote.item = item = (quote.symbol, text_frame(payload), payload)
        for cohort in quote.cohorts:
            if quote.read and not cohort.delivery.snapshot:
                continue
            if cohort.note(item):
                if not self._touched:
                    self._schedule(self._wait, self.flush)
                self._touched.append(cohort)

    def _flush_cohort(self, cohort: Cohort) -> None:
        self.counts.sent += cohort.flush(self._version)

    def _move(self, outbox: Outbox, symbols: frozenset[str], delivery: Delivery) -> None:
        """To the cohort of these symbols. No update is lost or seen twice by the move."""
        if outbox.symbols:
            self._leave_cohort(self._cohorts[outbox.symbols, outbox.delivery], outbox)
        outbox.symbols = symbols
        outbox.adopt(delivery)
        if symbols:
            cohort = self._cohorts.get((symbols, delivery)) or self._make_cohort(symbols, delivery)
            self.counts.sent += cohort.add(outbox, self._version)

    def _make_cohort(self, symbols: frozenset[str], delivery: Delivery) -> Cohort:
        quotes = tuple(self._quotes[channel_name(symbol).encode()] for symbol in symbols)
        cohort = self._cohorts[symbols, delivery] = Cohort((symbols, delivery), quotes, self._version)
        if delivery.interval:
            self._pacer_of(delivery.interval).add(cohort)
        else:
            for quote in quotes:
                quote.cohorts[cohort] = None
        return cohort

    def _leave_cohort(self, cohort: Cohort, outbox: Outbox) -> None:
        self.counts.sent += cohort.remove(outbox)
        if cohort:
            return
        del self._cohorts[cohort.key]
        if cohort.delivery.interval:
            self._pacer_of(cohort.delivery.interval).discard(cohort)
        for quote in cohort.quotes:
            quote.cohorts.pop(cohort, None)

    def _pacer_of(self, interval: float) -> Pacer:
        pacer = self._pacers.get(interval)
        if pacer is None:
            pacer = self._pacers[interval] = Pacer(interval, self._schedule, self._flush_cohort)
        return pacer
