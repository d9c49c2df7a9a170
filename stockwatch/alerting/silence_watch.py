"""Fires alerts on missing prices, for symbols whose updates can reach this engine."""

from collections.abc import Callable, Mapping

from feeds.source_names import SIMULATED
from feeds.store.feed_state import FeedState
from watchlist.alerts.evaluator import Evaluator
from watchlist.prices.source_states import CONNECTED, find_symbol_state

SECOND_US = 1_000_000


class SilenceWatch:
    """Fires alerts on missing prices. Counts only the time in which updates of the symbol could reach this engine.

    `owns` says whether this engine reads the updates of a symbol. `find_sources` returns the states of all sources
    except `simulated`. `now` returns unix seconds. `has_read` says whether this engine has read all updates of a symbol
    so far. If it has, the silence of a simulated symbol counts from the symbol's last update, even if this engine did
    not run then.
    """

    def __init__(
        self,
        evaluator: Evaluator,
        owns: Callable[[str], bool],
        find_sources: Callable[[], Mapping[str, FeedState]],
        now: Callable[[], float],
        has_read: Callable[[str], bool] = lambda _symbol: False,
    ) -> None:
        self._evaluator = evaluator
        self._owns = owns
        self._find_sources = find_sources
        self._now = now
        self._has_read = has_read
        self._seen_since: dict[str, int] = {}

    def check(self) -> None:
        """Fires alerts on missing prices. Must be called often, and only while the engine is not behind."""
        symbols = self._evaluator.find_silent()
        now, states = int(self._now() * SECOND_US), self._find_sources() if symbols else {}
        self._seen_since = {
            symbol: self._find_since(symbol, source, now)
            for symbol, source in symbols.items()
            if self._owns(symbol) and _would_arrive(symbol, source, states)
        }
        self._evaluator.fire_silent(now, self._seen_since)

    def _find_since(self, symbol: str, source: str, now: int) -> int:
        since = self._seen_since.get(symbol, now)
        # A simulated source is always connected, so an engine that has read all updates knows that none was missed.
        return 0 if since and source == SIMULATED and self._has_read(symbol) else since

    def reset(self) -> None:
        """Forgets since when updates could arrive. Call this method while the engine is behind."""
        self._seen_since.clear()


def _would_arrive(symbol: str, source: str, states: Mapping[str, FeedState]) -> bool:
    state = states.get(source)
    if source == SIMULATED:
        return True
    return state is not None and state.state == CONNECTED and not find_symbol_state(state, symbol)
