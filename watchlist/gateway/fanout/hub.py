"""Holds the newest update of each subscribed symbol and hands updates to cohorts of sockets.

A cohort is a group of sockets with the same symbols and delivery options. `receive` adds each new update to the cohorts
of its symbol. `flush` sends these updates a few milliseconds later. In cohorts with a limit of updates per second, a
`Pacer` sends most updates.

Pure: no I/O, no await; the clock is an argument. All calls come from one thread.
"""

from collections.abc import Callable, Iterable

from feeds.errors import BadRecord
from feeds.wire import channel_name, decode, latest_timestamp
from watchlist.gateway.counts import HubCounts
from watchlist.gateway.fanout.cohort import Cohort, CohortKey, TrackedSymbol
from watchlist.gateway.fanout.delivery import Delivery
from watchlist.gateway.fanout.outbox import Outbox
from watchlist.gateway.fanout.pacer import Pacer, Schedule
from watchlist.gateway.framing import text_frame
from watchlist.gateway.messages import UpdateMessage

FLUSH_SECONDS = 0.001
"""The shortest delay from an update to its flush, in seconds.

All updates that come during this delay are sent with one write per socket.
"""
# A flush of a thousand cohorts joins and writes the frames of each cohort. With a longer delay, flushes are rarer.
COHORT_FLUSH_SECONDS = 5e-6
"""Each cohort in a flush adds this number of seconds to the delay of the next flush."""
MAX_FLUSH_SECONDS = 0.006


class Hub:
    """Holds the subscriptions of sockets. The intake calls `receive` with each update from Redis.

    `schedule` calls a function after a number of seconds, in this thread. `on_symbol_added` is called with each symbol
    that gets its first subscription. `on_symbol_removed` is called with each symbol whose last subscription has ended.
    `unix_micros` returns the time in unix microseconds.
    """

    def __init__(
        self,
        schedule: Schedule,
        on_symbol_added: Callable[[str], None],
        on_symbol_removed: Callable[[str], None],
        unix_micros: Callable[[], int],
    ) -> None:
        self.counts = HubCounts()
        self.newest_timestamp = 0
        """The greatest timestamp of all accepted updates, in unix microseconds. 0 before the first update."""
        self._schedule = schedule
        self._unix_micros = unix_micros
        self._latest = 0
        self._on_symbol_added = on_symbol_added
        self._on_symbol_removed = on_symbol_removed
        self._tracked: dict[bytes, TrackedSymbol] = {}  # by channel, so that `receive` decodes no name
        self._cohorts: dict[CohortKey, Cohort] = {}
        self._pacers: dict[float, Pacer] = {}
        self._changed_cohorts: list[Cohort] = []
        self._flush_delay = FLUSH_SECONDS
        self._version = 0

    @property
    def symbols(self) -> list[str]:
        """Returns the symbols with at least one subscription."""
        return [tracked.symbol for tracked in self._tracked.values()]

    @property
    def subscriptions(self) -> int:
        """Returns the number of subscriptions: pairs of a socket and a symbol."""
        return sum(tracked.socket_count for tracked in self._tracked.values())

    def receive(self, channel: bytes, payload: bytes, *, from_store: bool = False) -> None:
        """Adds an update to the cohorts of its symbol if the update is valid and newer than the known update.

        `channel` is the Redis channel, and `payload` is the JSON text. `from_store` is True for a quote that was read
        from Redis.
        """
        tracked = self._tracked.get(channel)
        if tracked is None:
            self.counts.unwanted += 1
            return
        if not self._changed_cohorts:  # once per flush: this takes a fifth as long as decoding an update
            self._latest = latest_timestamp(self._unix_micros())
        try:
            update = decode(payload, self._latest)
        except BadRecord as error:
            self._count_refused(tracked, payload, from_store, error.kind)
            return
        timestamp, seq_id = update.timestamp, update.seq_id
        if update.symbol != tracked.symbol:
            self._count_refused(tracked, payload, from_store, "malformed")
        # The rule of feeds/stale.py, inlined because a call per update would be slower.
        elif timestamp > tracked.timestamp or (timestamp == tracked.timestamp and seq_id > tracked.seq_id):
            counts = self.counts
            counts.accepted += 1
            first = tracked.message is None
            if seq_id - tracked.seq_id > 1 and not first:
                counts.gaps += 1
            tracked.timestamp, tracked.seq_id = timestamp, seq_id
            tracked.from_store = from_store and first
            if timestamp > self.newest_timestamp:
                self.newest_timestamp = timestamp
            self._add_to_cohorts(tracked, UpdateMessage(tracked.symbol, text_frame(payload), payload, seq_id))
        elif not from_store:  # a resync reads many known quotes again
            self.counts.stale += 1

    def flush(self) -> None:
        """Sends the updates that `receive` has added to cohorts.

        For a cohort with a limit of updates per second, this method sends only the first known update of each symbol. A
        `Pacer` sends the later updates.
        """
        cohorts, self._changed_cohorts = self._changed_cohorts, []
        self._flush_delay = min(MAX_FLUSH_SECONDS, FLUSH_SECONDS + COHORT_FLUSH_SECONDS * len(cohorts))
        for cohort in cohorts:
            self.counts.sent += cohort.flush_first() if cohort.delivery.interval else cohort.flush(self._version)

    def subscribe(self, outbox: Outbox, symbols: Iterable[str]) -> None:
        """Subscribes a socket to symbols.

        If the delivery has `snapshot`, the socket is sent the newest known update of each new symbol.
        """
        new = [symbol for symbol in symbols if symbol not in outbox.symbols]
        known: list[UpdateMessage] = []
        for symbol in new:
            tracked = self._track(symbol)
            tracked.socket_count += 1
            if tracked.message is not None:
                known.append(tracked.message)
        self._change_cohort(outbox, outbox.symbols.union(new), outbox.delivery)
        if known and outbox.delivery.snapshot:
            self.counts.sent += self._cohorts[outbox.symbols, outbox.delivery].send_snapshot(outbox, known)

    def unsubscribe(self, outbox: Outbox, symbols: Iterable[str]) -> None:
        """Ends the subscriptions of a socket to symbols. Drops the waiting messages about these symbols."""
        removed = outbox.symbols.intersection(symbols)
        if not removed:
            return
        self._change_cohort(outbox, outbox.symbols - removed, outbox.delivery)
        for symbol in removed:
            outbox.discard(symbol)
            channel = channel_name(symbol).encode()
            tracked = self._tracked[channel]
            tracked.socket_count -= 1
            if not tracked.socket_count:
                del self._tracked[channel]
                self._on_symbol_removed(symbol)

    def change_delivery(self, outbox: Outbox, delivery: Delivery) -> None:
        """Changes how updates are delivered to a socket."""
        if delivery != outbox.delivery:
            self._change_cohort(outbox, outbox.symbols, delivery)

    def remove(self, outbox: Outbox) -> None:
        """Closes the outbox of a socket and ends the socket's subscriptions."""
        outbox.close()
        self.unsubscribe(outbox, outbox.symbols)

    def _count_refused(self, tracked: TrackedSymbol, payload: bytes, from_store: bool, kind: str) -> None:
        """Counts a refused update. A refused quote is counted once, even if the same quote is read again."""
        if not (from_store and payload == tracked.refused):
            self.counts.count_refused(kind)
        if from_store:
            tracked.refused = payload

    def _track(self, symbol: str) -> TrackedSymbol:
        channel = channel_name(symbol).encode()
        tracked = self._tracked.get(channel)
        if tracked is None:
            tracked = self._tracked[channel] = TrackedSymbol(symbol)
            self._on_symbol_added(symbol)
        return tracked

    def _add_to_cohorts(self, tracked: TrackedSymbol, message: UpdateMessage) -> None:
        if tracked.message is None:
            self._add_first(tracked)
        self._version = tracked.version = self._version + 1
        tracked.message = message
        from_store = tracked.from_store
        for cohort in tracked.cohorts:
            if from_store and not cohort.delivery.snapshot:
                continue
            if cohort.add_update(message):
                self._flush_soon(cohort)

    def _add_first(self, tracked: TrackedSymbol) -> None:
        for cohort in tracked.paced_cohorts:
            if (cohort.delivery.snapshot or not tracked.from_store) and cohort.add_first(tracked):
                self._flush_soon(cohort)

    def _flush_soon(self, cohort: Cohort) -> None:
        if not self._changed_cohorts:
            self._schedule(self._flush_delay, self.flush)
        self._changed_cohorts.append(cohort)

    def _flush_cohort(self, cohort: Cohort) -> None:
        self.counts.sent += cohort.flush(self._version)

    def _change_cohort(self, outbox: Outbox, symbols: frozenset[str], delivery: Delivery) -> None:
        """Moves a socket to the cohort of these symbols and delivery. The move neither loses nor repeats an update."""
        if outbox.symbols:
            self._leave_cohort(self._cohorts[outbox.symbols, outbox.delivery], outbox)
        outbox.symbols = symbols
        outbox.change_delivery(delivery)
        if symbols:
            cohort = self._cohorts.get((symbols, delivery)) or self._add_cohort(symbols, delivery)
            self.counts.sent += cohort.add_member(outbox, self._version)

    def _add_cohort(self, symbols: frozenset[str], delivery: Delivery) -> Cohort:
        all_tracked = tuple(self._tracked[channel_name(symbol).encode()] for symbol in symbols)
        cohort = self._cohorts[symbols, delivery] = Cohort((symbols, delivery), all_tracked, self._version)
        if delivery.interval:
            self._get_pacer(delivery.interval).add(cohort)
            for tracked in all_tracked:
                tracked.paced_cohorts[cohort] = None
        else:
            for tracked in all_tracked:
                tracked.cohorts[cohort] = None
        return cohort

    def _leave_cohort(self, cohort: Cohort, outbox: Outbox) -> None:
        self.counts.sent += cohort.remove_member(outbox)
        if cohort:
            return
        del self._cohorts[cohort.key]
        if cohort.delivery.interval:
            self._get_pacer(cohort.delivery.interval).discard(cohort)
        for tracked in cohort.symbols:
            tracked.cohorts.pop(cohort, None)
            tracked.paced_cohorts.pop(cohort, None)

    def _get_pacer(self, interval: float) -> Pacer:
        pacer = self._pacers.get(interval)
        if pacer is None:
            pacer = self._pacers[interval] = Pacer(interval, self._schedule, self._flush_cohort)
        return pacer
