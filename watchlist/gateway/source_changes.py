"""Sends `feed` frames to clients when the state of a source has changed.

Reads the state of each source of real prices from Redis once per second. While Redis does not answer, clients receive
no `feed` frames.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from feeds.store.connection import repeat_reading
from feeds.store.feed_state import FeedState, decode_state, feed_prefix
from watchlist.gateway import protocol
from watchlist.gateway.catalog import Catalog, Listing
from watchlist.gateway.messages import StateMessage, make_state
from watchlist.gateway.sockets.connections import Connections
from watchlist.prices.source_labels import CLOSED, title_of
from watchlist.prices.source_states import NO_FEEDER, SYMBOL_STATES, check_state, with_state

READ_SECONDS = 1.0
MAX_REASON_CHARACTERS = 200


class SourceChanges:
    """Watches the states of sources, and sends `feed` frames. `unix_micros` returns the time in unix microseconds."""

    def __init__(self, catalog: Catalog, connections: Connections, unix_micros: Callable[[], int]) -> None:
        self._catalog = catalog
        self._connections = connections
        self._unix_micros = unix_micros
        self._states: dict[str, FeedState] = {}
        self._closed: frozenset[tuple[str, str]] = frozenset()

    async def follow(self, redis: Any) -> None:
        """Reads the states of the sources and sends changes, until this task is cancelled.

        `redis` is an asyncio client.
        """
        await repeat_reading(lambda: self.read(redis), READ_SECONDS, "states of sources")

    async def read(self, redis: Any) -> None:
        """Reads the states of the sources once and sends changes. Raises RedisError or OSError."""
        sources = with_state(self._catalog.sources)
        prefix = feed_prefix(redis)
        values = await redis.mget([prefix + source for source in sources]) if sources else []
        pairs = zip(sources, values, strict=True)
        self._states = {source: self._check(source, decode_state(value)) for source, value in pairs}
        self._closed = frozenset(
            (source, symbol) for source, state in self._states.items() for symbol in state.symbols.get(CLOSED, ())
        )
        self._connections.announce_sources({source: self._message(source) for source in sources})

    def mark_markets(self, listings: list[Listing]) -> list[Listing]:
        """Returns the listings, with the market CLOSED where the source reports that the market is closed."""
        if not self._closed:
            return listings
        return [
            replace(listing, market=CLOSED) if (listing.source, listing.symbol) in self._closed else listing
            for listing in listings
        ]

    def _check(self, source: str, state: FeedState | None) -> FeedState:
        before = self._states.get(source)
        was_missing = before is not None and before.reason == NO_FEEDER
        return check_state(state, since=before.since if before and was_missing else self._unix_micros())

    def _message(self, source: str) -> StateMessage:
        state = self._states[source]
        payload = protocol.feed(
            source,
            title_of(source),
            state.state,
            state.reason[:MAX_REASON_CHARACTERS],
            state.since,
            self._served_symbols(source, state.symbols),
        )
        return make_state(f"feed {source}", payload)

    def _served_symbols(self, source: str, symbols: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Returns only the symbols that this gateway serves with prices from `source`.

        `symbols` and the result map each state of symbols, such as `halted`, to the symbols in this state.
        """
        catalog = self._catalog
        return {
            name: [
                symbol
                for symbol in symbols.get(name, ())
                if catalog.allows(symbol) and catalog.get_listing(symbol).source == source
            ]
            for name in SYMBOL_STATES
        }
