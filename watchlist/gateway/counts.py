"""Holds the counters that the metrics of one gateway process show. Pure."""

from collections import Counter

from watchlist.gateway.protocol import CloseCode


class GatewayCounts:
    """Counts connections and requests. `HubCounts` counts updates."""

    def __init__(self) -> None:
        self.accepted = 0
        """The number of accepted sockets."""
        self.compressed = 0
        """The number of accepted sockets that negotiated compression."""
        self.refused: Counter[str] = Counter()
        """The number of refused connections and requests, by reason."""
        self.closed: Counter[str] = Counter()
        """The number of sockets that the gateway closed, by the name of the close code."""
        self.rotated = 0
        """The number of sockets that were closed because of their age."""
        self.rate_limit_unanswered = 0
        """The number of rate checks that Redis did not answer. Such a check refuses no connection."""
        self.direct_writes = True
        """Whether the gateway writes to the newest socket without ASGI. True before the first socket."""

    def count_close(self, code: CloseCode) -> None:
        self.closed[code.name.lower()] += 1


class RelayCounts:
    """Says how this process uses the relay, a process that passes prices from Redis to all processes of a gateway."""

    def __init__(self) -> None:
        self.connected = False
        """Whether prices come through the relay. Always False without a relay."""
        self.fallbacks = 0
        """How often this process began to subscribe to Redis itself, because the relay could not be used."""


class HubCounts:
    """Counts updates.

    Each published update adds 1 to one of these counters:

    - `accepted`: the update is newer than the known update of its symbol,
    - `stale`: the update is not newer,
    - `timestamp`: the timestamp is too small or too far in the future,
    - `malformed`: the update is invalid in another way,
    - `unwanted`: no socket subscribes to the symbol.

    `gaps` is the number of accepted updates whose seq_id skipped numbers. `sent` is the number of updates handed to
    sockets. Some of these updates were never written, because the client did not read: `conflated` counts the updates
    that newer ones replaced in mode `latest`, and `lost` counts the updates that were dropped in mode `all`.
    """

    __slots__ = ("accepted", "conflated", "gaps", "lost", "malformed", "sent", "stale", "timestamp", "unwanted")

    def __init__(self) -> None:
        self.accepted = self.sent = self.stale = self.malformed = self.timestamp = self.unwanted = self.gaps = 0
        self.conflated = self.lost = 0

    def count_refused(self, kind: str) -> None:
        """Counts a refused update. `kind` is the kind of the refusal, as in `BadRecord.kind`."""
        if kind == "timestamp":
            self.timestamp += 1
        else:
            self.malformed += 1
