"""Says why alerts cannot fire now: the engine, the source of the prices, or the market.

Such alerts are called blind.
"""

from collections.abc import Mapping

import redis
import structlog

from feeds.errors import StoreUnavailable
from feeds.source_names import SOURCE_TITLES
from feeds.store.feed_state import FeedState
from watchlist.alerts.engine_state import EngineStates, engine_reason
from watchlist.prices.source_states import CONNECTED, find_symbol_state, read_known_states

UNKNOWN = "It is unknown whether the alert engine is running."
SYMBOL_REASONS = {
    "unknown": "{source} does not know this symbol.",
    "halted": "The trade of this symbol is halted.",
    "closed": "The market is closed.",
}

log = structlog.get_logger(__name__)


def find_reasons(client: redis.Redis, sources: Mapping[str, str], now: float) -> Mapping[str, str]:
    """Returns a dict from symbol to the reason why its alerts cannot fire now.

    Symbols whose alerts can fire are missing. `sources` is a dict from symbol to source. `now` is in unix seconds. A
    reason is a sentence to show to a person.
    """
    if reason := read_engine_reason(client, now):
        return dict.fromkeys(sources, reason)
    states = read_known_states(sources.values())
    reasons = {symbol: _source_reason(source, states.get(source), symbol) for symbol, source in sources.items()}
    return {symbol: reason for symbol, reason in reasons.items() if reason}


def read_engine_reason(client: redis.Redis, now: float) -> str:
    """Returns why no alert at all can fire now; an empty text if the engine keeps up."""
    try:
        return engine_reason(EngineStates(client).read(now))
    except StoreUnavailable as error:
        log.warning("state of the alert engine unavailable in Redis", error=str(error))
        return UNKNOWN


def count_blind(counts: Mapping[str, int], states: Mapping[str, FeedState]) -> int:
    """Returns how many alerts have a source that is not connected.

    `counts` is a dict from source to its number of alerts. A source that is not in `states` counts as connected.
    """
    return sum(count for source, count in counts.items() if source in states and states[source].state != CONNECTED)


def _source_reason(source: str, state: FeedState | None, symbol: str) -> str:
    if state is None:
        return ""
    title = SOURCE_TITLES.get(source, source)
    if state.state != CONNECTED:
        return f"{title} sends no prices now ({state.state})."
    return SYMBOL_REASONS.get(find_symbol_state(state, symbol), "").format(source=title)
