"""Holds what all sessions of a gateway process share."""

from dataclasses import dataclass, field

from feeds.wire import age_us
from watchlist.gateway import protocol
from watchlist.gateway.catalog import Catalog
from watchlist.gateway.clock import Clock
from watchlist.gateway.closing.kicks import Kicks
from watchlist.gateway.counts import GatewayCounts
from watchlist.gateway.deflate.compressor import Compressor
from watchlist.gateway.fanout.hub import Hub
from watchlist.gateway.limits import Limits
from watchlist.gateway.sockets.tokens.verifier import TokenVerifier


@dataclass(frozen=True, slots=True)
class SessionContext:
    """What all sessions of a gateway process share.

    `compressor` is None if the gateway compresses no messages. `tokens` is None if the gateway verifies no personal
    tokens.
    """

    limits: Limits
    catalog: Catalog
    hub: Hub
    counts: GatewayCounts
    clock: Clock
    compressor: Compressor | None = None
    tokens: TokenVerifier | None = None
    kicks: Kicks = field(default_factory=Kicks)

    def feed_age_ms(self) -> int | None:
        """Returns the age of the newest update that this process has received, in milliseconds.

        Returns None before the first update, and if the timestamp of the newest update is ahead of `clock`.
        """
        newest = self.hub.newest_timestamp
        age = age_us(newest, self.clock.unix_micros()) if newest else None
        return None if age is None else age // 1000

    def make_heartbeat(self, number: int) -> bytes:
        """Returns the `heartbeat` frame with this number."""
        return protocol.heartbeat(self.clock.unix_micros(), number, self.feed_age_ms(), self.catalog.source)
