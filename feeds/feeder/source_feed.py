"""Handles the events of one source, and publishes its trades."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import msgspec
import structlog

from feeds.feeder.network.market_hours import is_open
from feeds.feeder.network.source_state import SourceStateTracker
from feeds.feeder.publisher import Publisher
from feeds.feeder.source_metrics import SourceMetrics
from feeds.feeder.trades.gaps import Counts, Gap
from feeds.feeder.trades.symbol_feed import SymbolFeed
from feeds.records import TopicEnd
from feeds.retry import Outage
from feeds.sources.adapter import Source
from feeds.sources.events import (
    BestPrices,
    Event,
    LatestSequence,
    SourceStatus,
    Subscribed,
    SymbolRefused,
    SymbolState,
    SymbolStatus,
    Trade,
)

log = structlog.get_logger(__name__)

MAX_CLOCK_DIFFERENCE_US = 1_000_000
"""A warning is logged if the time of a trade is further ahead of our clock than this."""

OBSERVE_US = 1_000


class FedSymbol(msgspec.Struct):
    """What a SourceFeed knows about one symbol: its name, the feed of its trades, and its state."""

    symbol: str
    feed: SymbolFeed
    state: SymbolState = SymbolState.TRADING


class SourceFeed:
    """Publishes the trades of one source, and tracks the states of its symbols.

    `clock` returns monotonic seconds, `now` unix nanoseconds.
    """

    def __init__(
        self,
        source: Source,
        publisher: Publisher,
        state: SourceStateTracker,
        outage: Outage,
        metrics: SourceMetrics,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], int] = time.time_ns,
    ) -> None:
        self.source = source
        self.state = state
        self._publisher = publisher
        self._outage = outage
        self._metrics = metrics
        self._clock = clock
        self._now = now
        self._counts = Counts()
        self._symbols: dict[str, FedSymbol] = {}
        self._natives: dict[str, str] = {}
        self._incomplete: dict[str, str] = {}
        self._warned_of_clock = False
        self._observed_at = 0
        self.is_market_open = True
        self.last_message = 0
        self.subscribed = asyncio.Event()
        """Set when the source has acknowledged a subscription."""

    @property
    def natives(self) -> Collection[str]:
        """The native symbols to subscribe to."""
        return self._symbols.keys()

    @property
    def symbols(self) -> Collection[str]:
        return self._natives.keys()

    def open(self, symbol: str, native: str, end: TopicEnd | None) -> None:
        """Begins to feed a symbol.

        `end` describes the symbol's last updates in the topic. `end` is None if the topic has no update of the symbol.
        """
        trades = end.trades if end is not None else ()
        published = [trade for trade in trades if trade.source == self.source.name]
        can_fetch = can_fetch_trades(self.source, native)
        feed = SymbolFeed(native, self.source.is_sequential, can_fetch, self._counts, published)
        self._symbols[native] = FedSymbol(symbol, feed)
        self._natives[symbol] = native
        self._publisher.open(symbol, self.source.name, end, can_fetch)

    def close(self, symbols: Collection[str]) -> None:
        self._publisher.close(symbols)
        for symbol in symbols:
            self._symbols.pop(self._natives.pop(symbol, ""), None)

    def handle(self, events: Sequence[Event], receipt: int) -> None:
        """Handles the events of one message. `receipt` is the time of receipt in unix microseconds."""
        self.last_message = receipt
        self._metrics.note_message()
        trades: dict[str, list[Trade]] = {}
        for event in events:
            if type(event) is Trade:
                trades.setdefault(event.native, []).append(event)
            else:
                self._handle_other(event, receipt)
        if trades:
            now = self._clock()
            for native, each in trades.items():
                if (fed := self._symbols.get(native)) is not None:
                    self._publisher.add(fed.symbol, fed.feed.receive(each, now))
            self._observe(events, receipt)
        if not self.state.is_connected and type(events[0]) not in NO_DATA:
            self._note_data(receipt)
        self._publisher.pump_soon()

    def note_lost(self) -> None:
        """Notes that the connection was lost. The best prices become unknown, and trades may be missing."""
        for fed in self._symbols.values():
            self._publisher.set_prices(fed.symbol, None)
            fed.feed.note_reconnected()

    def note_merged(self, symbol: str, trades: Sequence[Trade]) -> None:
        """Handles trades that the publisher dropped because its backlog was full.

        The dropped trades are fetched later. If the source does not offer missed trades, the dropped trades count as
        lost.
        """
        fed = self._symbols.get(self._natives.get(symbol, ""))
        if fed is not None:
            fed.feed.note_merged(trades)

    def check(self) -> None:
        """Publishes the trades that were held back long enough. Call this method ten times a second.

        New trades are held back while missed trades are fetched.
        """
        self.is_market_open = is_open(self.source.market, self._now() // 1000)
        now = self._clock()
        for native, fed in self._symbols.items():
            if accepted := fed.feed.check(now):
                self._publisher.add(fed.symbol, accepted)
            if fed.feed.lost.spans:
                self._publisher.note_missed(fed.symbol, fed.feed.lost.take_spans())
                self._incomplete[fed.symbol] = native

    def take_gaps(self) -> list[tuple[str, Gap]]:
        """Returns the gaps in the trades that were found since the last call, each with its native symbol."""
        return [(native, gap) for native, fed in self._symbols.items() for gap in fed.feed.take_gaps()]

    def take_incomplete(self) -> dict[str, str]:
        """Returns the symbols that lost trades since the last call, with their native symbols."""
        incomplete, self._incomplete = self._incomplete, {}
        return incomplete

    def fill(self, native: str, gap: Gap, trades: Iterable[Trade]) -> None:
        """Publishes the missed trades of a gap.

        `trades` are all trades that the source returned for the gap. Trades that had arrived earlier are ignored.
        """
        if (fed := self._symbols.get(native)) is not None:
            self._publisher.add(fed.symbol, fed.feed.fill(gap, trades))

    def give_up(self, native: str, gap: Gap) -> None:
        """Counts the trades of a gap as lost."""
        if (fed := self._symbols.get(native)) is not None:
            fed.feed.give_up(gap)

    def set_instruments(self, instruments: Mapping[str, bool]) -> None:
        """Updates the states of symbols from the source's list of instruments.

        `instruments` says for each native symbol whether it is traded now, such as `{"BTC/USD": True}`. Symbols that
        are not in the list become unknown.
        """
        for native, fed in self._symbols.items():
            if native not in instruments:
                self._refuse(native, "not in the list of the source")
            elif fed.state in {SymbolState.TRADING, SymbolState.HALTED}:
                fed.state = SymbolState.TRADING if instruments[native] else SymbolState.HALTED

    def symbols_by_state(self) -> dict[str, list[str]]:
        """Returns a dict from the name of a state to the symbols in this state. Traded symbols are left out."""
        states: dict[str, list[str]] = {}
        for fed in self._symbols.values():
            is_closed = fed.state is SymbolState.TRADING and not self.is_market_open
            state = SymbolState.CLOSED if is_closed else fed.state
            if state is not SymbolState.TRADING:
                states.setdefault(state.value, []).append(fed.symbol)
        return states

    def report(self) -> None:
        self._metrics.add(self._counts)
        self._metrics.report(self.state.state, self.last_message)

    def _handle_other(self, event: Event, receipt: int) -> None:
        match event:
            case BestPrices(native, bid, ask):
                if (fed := self._symbols.get(native)) is not None:
                    self._publisher.set_prices(fed.symbol, (bid, ask))
            case Subscribed(natives):
                self._note_subscribed(natives, receipt)
            case SymbolRefused(native, reason):
                self._refuse(native, reason)
            case LatestSequence(native, sequence):
                if (fed := self._symbols.get(native)) is not None:
                    fed.feed.announce(sequence, self._clock())
            case SourceStatus(state, reason):
                self.state.announce(state, reason, receipt)
            case SymbolStatus(native, state):
                if (fed := self._symbols.get(native)) is not None:
                    fed.state = state

    def _note_subscribed(self, natives: Iterable[str], receipt: int) -> None:
        self.state.note_subscribed(receipt)
        self.subscribed.set()
        if self.state.is_connected:
            self._outage.end()
        for native in natives:
            fed = self._symbols.get(native)
            if fed is not None and fed.state is SymbolState.UNKNOWN:
                fed.state = SymbolState.TRADING

    def _note_data(self, receipt: int) -> None:
        self.state.note_data(receipt)
        if self.state.is_connected:
            self._outage.end()

    def _refuse(self, native: str, reason: str) -> None:
        fed = self._symbols.get(native)
        if fed is not None and fed.state is not SymbolState.UNKNOWN:
            fed.state = SymbolState.UNKNOWN
            log.warning("symbol refused by the source", source=self.source.name, symbol=fed.symbol, reason=reason)

    def _observe(self, events: Sequence[Event], receipt: int) -> None:
        """Adds the delay of a message to the metrics: the time from its last trade to its receipt."""
        last = events[-1]
        # At most one message per millisecond is observed: an observation costs as much CPU time as decoding a message.
        if type(last) is not Trade or last.past or 0 <= receipt - self._observed_at < OBSERVE_US:
            return
        self._observed_at = receipt
        lag = receipt - last.timestamp
        self._metrics.observe(lag)
        if -lag > MAX_CLOCK_DIFFERENCE_US and not self._warned_of_clock:
            self._warned_of_clock = True
            log.warning("trades have times in the future", source=self.source.name, seconds=round(-lag / 1e6, 1))


NO_DATA = (Subscribed, SymbolRefused, SourceStatus)
"""Events without market data."""


def can_fetch_trades(source: Source, native: str) -> bool:
    """Returns whether the source's HTTP service offers missed trades."""
    before, after = (Trade(native, 1.0, 1.0, number * 1_000_000, str(number), number) for number in (1, 3))
    return source.history.trades(native, before, after) is not None
