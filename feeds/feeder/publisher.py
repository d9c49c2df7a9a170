"""Gives each accepted trade a seq_id, and sends the trade to Kafka.

The publisher runs in the event loop and never blocks. While too many updates are unacknowledged, trades wait in a
backlog of limited size.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence

import msgspec
import structlog

from feeds.errors import BrokerUnavailable
from feeds.feeder.trades.backlog import Accepted, Backlog
from feeds.feeder.trades.numbering import Numbering
from feeds.kafka.producer import Headers, UpdateProducer
from feeds.records import ID_HEADER, MISSED_HEADER, SOURCE_HEADER, Span, TopicEnd, encode_missed, unite
from feeds.sources.events import Trade
from feeds.wire import latest_timestamp

log = structlog.get_logger(__name__)

# After a stall, Kafka delivers up to this many old updates before it delivers newer prices.
MAX_UNACKNOWLEDGED = 5_000
"""How many updates may be sent and not yet acknowledged by Kafka."""

STALL_SECONDS = 2.0
"""If Kafka stalls for at least this time, the newest trade of each symbol is sent first afterwards."""

FREEZE_SECONDS = 1.5
"""If this process pauses for longer, nothing is sent until the symbols are claimed again."""

PAUSE_SECONDS = 0.005

PRODUCER_OPTIONS = {
    # An update that expired in the queue would be lost. Instead, MAX_UNACKNOWLEDGED limits the queue.
    "message.timeout.ms": 0,
    # With 20,000 trades per second on two cores, the p99 delay is lower than with 5 ms: the brokers need less CPU time
    # for larger batches.
    "linger.ms": 25,
}


class PublishedSymbol(msgspec.Struct):
    """What the publisher knows about one symbol.

    `prices` are the best bid and ask; None if unknown. `can_fetch` says whether missed trades can be fetched. `missed`
    are spans of time in which trades were lost. The next record of the symbol contains these spans in a header.
    """

    numbering: Numbering
    source: bytes
    can_fetch: bool
    prices: tuple[float, float] | None = None
    missed: tuple[Span, ...] = ()


class Publisher:
    """Sends the trades of all sources to one topic.

    If too many trades wait to be sent, some trades are dropped. `on_merged` then gets each symbol with its dropped
    trades.
    """

    def __init__(
        self,
        producer: UpdateProducer,
        on_merged: Callable[[str, Sequence[Trade]], None],
        backlog: Backlog | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self._producer = producer
        self._on_merged = on_merged
        self._backlog = Backlog() if backlog is None else backlog
        self._clock = clock
        self._now = now
        self._symbols: dict[str, PublishedSymbol] = {}
        self._unsent_missed: dict[tuple[str, bytes], tuple[Span, ...]] = {}
        """Spans of time in which trades of closed symbols were lost. A key is a symbol and its source.

        If a symbol is opened again, its next record contains the spans.
        """

        self._stalled_since: float | None = None
        self._checked_at = clock()
        self._is_frozen = False
        self._is_pump_due = False
        self.ahead = 0

    @property
    def has_room(self) -> bool:
        """Whether the backlog has room for missed trades that were fetched."""
        return self._backlog.is_low

    @property
    def failed(self) -> int:
        """How many updates were lost on their way to Kafka."""
        return self._producer.failed.total()

    @property
    def delivered(self) -> int:
        return self._producer.delivered

    def open(self, symbol: str, source: str, end: TopicEnd | None, can_fetch: bool) -> None:
        """Begins to accept trades of a symbol.

        `end` describes the symbol's last updates in the topic. `end` is None if the topic has no update of the symbol.
        """
        numbering = Numbering(symbol, end, self._now() // 1_000_000)
        missed = self._unsent_missed.pop((symbol, source.encode()), ())
        self._symbols[symbol] = PublishedSymbol(numbering, source.encode(), can_fetch, missed=missed)

    def close(self, symbols: Collection[str]) -> None:
        """Drops the waiting trades of symbols, and ignores further trades until `open` is called.

        Call `drain` to wait for updates that are already on their way to Kafka.
        """
        for symbol in symbols:
            closed = self._symbols.pop(symbol, None)
            if closed is not None and closed.missed:
                self._unsent_missed[symbol, closed.source] = closed.missed
            self._backlog.drop(symbol)

    def set_prices(self, symbol: str, prices: tuple[float, float] | None) -> None:
        """Sets the best bid and ask for the next updates of a symbol; None if they are unknown."""
        if (published := self._symbols.get(symbol)) is not None:
            published.prices = prices

    def note_missed(self, symbol: str, spans: Sequence[Span]) -> None:
        """Notes spans of time in which trades of a symbol were lost. The symbol's next record contains the spans."""
        if (published := self._symbols.get(symbol)) is not None:
            published.missed = unite([*published.missed, *spans])

    def add(self, symbol: str, trades: Sequence[Accepted]) -> None:
        """Adds trades of a symbol to the backlog. `pump` sends the trades later."""
        if symbol in self._symbols:
            self._backlog.add(symbol, trades)

    def pump_soon(self) -> None:
        """Schedules one call of `pump`. Call this method after each message."""
        # One call of `pump` for several messages costs far less than a call for each message.
        if not self._is_pump_due:
            self._is_pump_due = True
            asyncio.get_running_loop().call_soon(self._pump_due)

    def pump(self) -> None:
        """Sends waiting trades until MAX_UNACKNOWLEDGED updates are unacknowledged.

        Call this method ten times a second. If the process did not run for more than FREEZE_SECONDS, nothing is sent
        until `resume` is called.
        """
        now = self._clock()
        self._note_freeze(now)
        self._producer.poll()
        room = MAX_UNACKNOWLEDGED - self._producer.unacknowledged
        if room <= 0 or self._is_frozen:
            if self._backlog and self._stalled_since is None:
                self._stalled_since = now
            self._reduce()
            return
        self._end_stall(now)
        if self._backlog:
            self._send_all(room)
            self._reduce()

    def resume(self) -> None:
        """Lets `pump` send trades again after a pause of the process.

        Before this call, the caller must have renewed the claims to the symbols.
        """
        self._is_frozen = False

    async def send_waiting(self) -> None:
        while self._backlog:
            self.pump()
            await asyncio.sleep(PAUSE_SECONDS)

    async def drain(self) -> None:
        """Waits until all updates that were sent before this call are acknowledged or have failed."""
        is_finished = self._producer.barrier()
        while not is_finished():
            self._producer.poll()
            await asyncio.sleep(PAUSE_SECONDS)

    def report(self) -> None:
        """Logs failures and outages. Call this method about once a second."""
        self._producer.log_failures()

    def _pump_due(self) -> None:
        self._is_pump_due = False
        self.pump()

    def _note_freeze(self, now: float) -> None:
        if now - self._checked_at > FREEZE_SECONDS:
            self._is_frozen = True  # other processes may have taken over some symbols
        self._checked_at = now

    def _end_stall(self, now: float) -> None:
        since, self._stalled_since = self._stalled_since, None
        if since is not None and now - since >= STALL_SECONDS:
            self._backlog.put_newest_first()

    def _send_all(self, room: int) -> None:
        latest = latest_timestamp(self._now() // 1000)
        for symbol, trades in self._backlog.take(room):
            published = self._symbols[symbol]
            for trade, late in trades:
                if trade.timestamp > latest:
                    self.ahead += 1  # every processor would refuse it
                else:
                    self._send(symbol, published, trade, late)

    def _send(self, symbol: str, published: PublishedSymbol, trade: Trade, late: bool) -> None:
        headers: Headers = [(SOURCE_HEADER, published.source)]
        if trade.id:
            headers.append((ID_HEADER, trade.id))
        if published.missed:
            headers.append((MISSED_HEADER, encode_missed(published.missed)))
        try:
            self._producer.send(symbol, published.numbering.encode(trade, late, published.prices), headers)
            published.missed = ()
        except BrokerUnavailable as error:
            # A rare error: the queue has room for far more than MAX_UNACKNOWLEDGED updates. The caller of `failed`
            # notices the lost update and reads the topic again.
            self._producer.failed["queue full"] += 1
            log.warning("update not queued", reason=str(error))

    def _reduce(self) -> None:
        if self._backlog.is_full:
            summed = [symbol for symbol, published in self._symbols.items() if not published.can_fetch]
            for symbol, trades in self._backlog.reduce(summed).items():
                self._on_merged(symbol, trades)
