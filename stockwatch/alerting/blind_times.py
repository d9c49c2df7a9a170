"""Remembers when alerts were blind, so that each firing can say for how long its alert was blind.

An alert is blind while it cannot fire, because of the alert engine, the source of the prices, or a closed market.
"""

from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from math import inf

from feeds.source_names import SIMULATED
from feeds.store.feed_state import FeedState
from watchlist.alerts.engine_state import BEHIND_SECONDS
from watchlist.alerts.records import FiringEvent
from watchlist.prices.source_states import CONNECTED, SYMBOL_STATES

MAX_SPANS = 100
"""How many spans are kept for the engine, for each source and for each symbol."""

GAP_US = int(BEHIND_SECONDS * 1_000_000)
"""The longest time in microseconds between two calls of `note`. The engine counts as blind in a longer pause."""

Cause = tuple[str, str]
"""What is blind: a source and a symbol. The symbol is empty for a whole source. Both are empty for the engine."""

Span = tuple[int, int]

ENGINE: Cause = ("", "")


class BlindTimes:
    """The spans of time in which the engine, a source or a symbol was blind. Times are in unix microseconds."""

    def __init__(self) -> None:
        self._known_since: dict[Cause, int] = {}
        self._noted_at = 0
        self._states: dict[str, FeedState] = {}
        self._begun: defaultdict[str, dict[str, int]] = defaultdict(dict)
        """For each source: a dict from symbol to the begin of a span that has not ended. Cause explains empty names."""
        self._spans: dict[Cause, deque[Span]] = {}

    def start(self, now: int) -> None:
        """Notes that this engine reads all its symbols from `now` on. Blind times before `now` are unknown."""
        self._known_since[ENGINE] = self._noted_at = now

    def note(self, now: int, states: Mapping[str, FeedState], *, is_engine_blind: bool) -> None:
        """Notes what is blind now. Must be called often. A source that is missing in `states` keeps its state."""
        if now - self._noted_at > GAP_US and ENGINE in self._known_since:
            self._begun[""].setdefault("", self._noted_at)
        self._change("", [""] if is_engine_blind else [], now)
        for source, state in states.items():
            known = self._states.get(source)
            if known is None or (known.state, known.symbols) != (state.state, state.symbols):
                self._known_since.setdefault((source, ""), now)
                self._change(source, _blind_symbols(state), now)
                self._states[source] = state
        self._noted_at = now

    def _change(self, source: str, symbols: Collection[str], now: int) -> None:
        """Begins spans for these symbols of a source, and ends the spans of its other symbols."""
        begun = self._begun[source]
        for symbol in begun.keys() - symbols:
            self._end((source, symbol), (begun.pop(symbol), now))
        for symbol in symbols:
            begun.setdefault(symbol, now)

    def _end(self, cause: Cause, span: Span) -> None:
        spans = self._spans.setdefault(cause, deque())
        spans.append(span)
        if len(spans) > MAX_SPANS:
            self._known_since[cause] = max(spans.popleft()[1], self._known_since.get(cause, 0))

    def find(self, firing: FiringEvent, begin: int, end: int) -> int | None:
        """Returns for how many microseconds the alert of a firing was blind between `begin` and `end`.

        Returns None if `begin` is so long ago that the blind times since then are not all known.
        """
        source = firing.source
        causes = [ENGINE] if source == SIMULATED else [ENGINE, (source, ""), (source, firing.symbol)]
        if any(begin < self._known_since.get(cause, 0 if cause[1] else inf) for cause in causes):
            return None
        return _length(span for cause in causes for span in self._overlaps(cause, begin, end))

    def _overlaps(self, cause: Cause, begin: int, end: int) -> Iterator[Span]:
        """Yields the parts of the spans of a cause that lie between two times, the newest one first."""
        source, symbol = cause
        if symbol in self._begun[source]:
            yield max(self._begun[source][symbol], begin), end
        for first, last in reversed(self._spans.get(cause, ())):
            if last <= begin:
                return
            yield max(first, begin), min(last, end)


def _blind_symbols(state: FeedState) -> set[str]:
    """Returns the symbols of a source that are blind. The empty name stands for the whole source."""
    symbols = {symbol for name in SYMBOL_STATES for symbol in state.symbols.get(name, ()) if symbol}
    return symbols if state.state == CONNECTED else {*symbols, ""}


def _length(spans: Iterable[Span]) -> int:
    """Returns the length of the union of spans. A span that ends before it begins is empty."""
    total = covered = 0
    for begin, end in sorted(spans):
        total += max(end - max(begin, covered), 0)
        covered = max(covered, end)
    return total
