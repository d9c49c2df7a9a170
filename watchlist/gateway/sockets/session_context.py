"""Holds what all sessions of a gateway process share."""

from dataclasses import dataclass

from watchlist.gateway.catalog import Catalog
from watchlist.gateway.clock import Clock
from watchlist.gateway.counts import GatewayCounts
from watchlist.gateway.fanout.hub import Hub
from watchlist.gateway.limits import Limits


@dataclass(frozen=True, slots=True)
class SessionContext:
    """What all sessions of a gateway process share.

    `source` names where prices come from; heartbeats contain it.
    """

    limits: Limits
    catalog: Catalog
    hub: Hub
    counts: GatewayCounts
    clock: Clock
    source: str

    def feed_age_ms(self) -> int | None:
        """Returns the age in milliseconds of the newest update that this process has received.

        Returns None before the first update.
        """
        newest = self.hub.newest_timestamp
        return max(0, self.clock.unix_micros() - newest) // 1000 if newest else None
