"""Reads the states of sources of real prices from Redis.

`runfeed` stores these states. The source `simulated` has no state.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta

import redis
import structlog

from feeds.errors import StoreUnavailable
from feeds.source_names import SIMULATED
from feeds.store.feed_state import FeedState, FeedStateStore
from watchlist.prices.quotes import redis_client

log = structlog.get_logger(__name__)

CONNECTED, RECONNECTING = "connected", "reconnecting"
STATES = frozenset({CONNECTED, "silent", RECONNECTING, "refused", "maintenance"})
SYMBOL_STATES = ("unknown", "halted", "closed")
"""The states that a source can report for a symbol."""
NO_FEEDER = "runfeed is not running"
"""The reason in the state of a source that no process feeds."""


def with_state(sources: Iterable[str]) -> list[str]:
    """Returns `sources` without `simulated`, which has no state. The result is sorted and has no duplicates."""
    return sorted({source for source in sources if source != SIMULATED})


def check_state(state: FeedState | None, since: int) -> FeedState:
    """Returns `state`, or the state `reconnecting` if `state` is None or has an unknown name.

    `state` is None if no process feeds the source. `since` is when the source began to reconnect, in unix microseconds.
    """
    if state is None or state.state not in STATES:
        return FeedState(RECONNECTING, NO_FEEDER, since, 0)
    return state


def read_source_states(client: redis.Redis, sources: Iterable[str]) -> Mapping[str, FeedState]:
    """Reads the states of sources with one command. Leaves out `simulated`. Raises StoreUnavailable.

    The state of a source that no process feeds is `reconnecting`, with 0 for `since`.
    """
    names = with_state(sources)
    found = FeedStateStore(client).read(names)
    return {name: check_state(found.get(name), since=0) for name in names}


def read_known_states(sources: Iterable[str]) -> Mapping[str, FeedState]:
    """Reads the states of sources as `read_source_states` does. Returns an empty dict if Redis is unavailable."""
    try:
        return read_source_states(redis_client(), sources)
    except StoreUnavailable as error:
        log.warning("states of sources unavailable in Redis", error=str(error))
        return {}


def find_symbol_state(state: FeedState | None, symbol: str) -> str:
    """Returns the state of a symbol at the source: `unknown`, `halted`, `closed` or an empty text."""
    if state is None:
        return ""
    return next((name for name in SYMBOL_STATES if symbol in state.symbols.get(name, ())), "")


def stale_after(state: FeedState | None, limit: timedelta) -> timedelta:
    """Returns the age after which a price is stale, for a source in this state.

    The prices of a connected source are never stale. The prices of a source that is not connected are always stale. If
    `state` is None, returns `limit`.
    """
    if state is None:
        return limit
    return timedelta.max if state.state == CONNECTED else timedelta(0)
