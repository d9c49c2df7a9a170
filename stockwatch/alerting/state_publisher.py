"""Publishes the state of this alert engine: in Redis for pages, and as metrics."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

import redis

from feeds import metrics
from feeds.errors import StoreUnavailable
from feeds.retry import Outage
from feeds.store.feed_state import FeedState
from watchlist.alerts.blindness import count_blind
from watchlist.alerts.engine_state import BEHIND_SECONDS, EngineState, EngineStates
from watchlist.prices.source_states import read_source_states


class StatePublisher:
    """Writes the state of one engine. If Redis is unavailable, only the metrics are set."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._states = EngineStates(client)
        self._outage = Outage("Redis")
        self.sources: Mapping[str, FeedState] = {}
        """The states of the sources when the state was last published; empty if Redis was unavailable."""
        self._name = f"{socket.gethostname()}-{os.getpid()}"

    def publish(self, state: EngineState, counts: Mapping[str, int]) -> None:
        """Publishes the state. `counts` is a dict from source to the number of active alerts."""
        total = sum(counts.values())
        metrics.ALERTS_ACTIVE.set(total)
        metrics.ALERTS_LAG.set(state.lag)
        sources: Mapping[str, FeedState] = {}
        try:
            self._states.write(self._name, state)
            sources = read_source_states(self._client, filter(None, counts))
        except StoreUnavailable as error:
            self._outage.begin(error)
        else:
            self._outage.end()
        self.sources = sources
        is_blind = state.stalled or state.lag > BEHIND_SECONDS
        metrics.ALERTS_BLIND.set(total if is_blind else count_blind(counts, sources))

    def close(self) -> None:
        """Removes the state, and closes the connection."""
        with suppress(StoreUnavailable):
            self._states.remove(self._name)
        self._client.close()
