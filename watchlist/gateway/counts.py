"""Holds the counters that the metrics of one gateway process show. Pure."""

from collections import Counter

from watchlist.gateway.protocol import CloseCode


class GatewayCounts:
    """Counts connections and requests. `HubCounts` counts updates.

    `accepted` is the number of accepted sockets. `compressed` is the number of accepted sockets that negotiated
    compression. `refused` maps each reason to the number of refused connections and requests. `closed` maps the name of
    each close code to the number of sockets that the gateway closed with this code. `rotated` is the number of sockets
    that were closed because of their age. `rate_limit_unanswered` is the number of rate checks that Redis did not
    answer. Such a check refuses no connection.
    """

    def __init__(self) -> None:
        self.accepted = 0
        self.compressed = 0
        self.refused: Counter[str] = Counter()
        self.closed: Counter[str] = Counter()
        self.rotated = 0
        self.rate_limit_unanswered = 0
        self.direct_writes = False
        """Whether the gateway writes to the newest connection without ASGI."""

    def count_close(self, code: CloseCode) -> None:
        self.closed[code.name.lower()] += 1


class RelayCounts:
    """Says whether prices come through the relay, and counts how often the process began to subscribe to Redis itself.

    Both stay at their first values in a process that has no relay.
    """

    def __init__(self) -> None:
        self.connected = False
        self.fallbacks = 0


class HubCounts:
    """Counts updates. The counters are plain attributes, because the hub changes a counter for each update.

    Each published update adds 1 to one of these counters:

    - `accepted`: the update is newer than the known update of its symbol,
    - `stale`: the update is not newer,
    - `timestamp`: the timestamp is too small or too far in the future,
    - `malformed`: the update is invalid in another way,
    - `unwanted`: no socket subscribes to the symbol.

    `gaps` is the number of accepted updates whose seq_id skipped numbers. `sent` is the number of updates handed to
    sockets.
    """

    __slots__ = ("accepted", "gaps", "malformed", "sent", "stale", "timestamp", "unwanted")

    def __init__(self) -> None:
        self.accepted = self.sent = self.stale = self.malformed = self.timestamp = self.unwanted = self.gaps = 0

    def count_refused(self, kind: str) -> None:
        """Counts a refused update. `kind` is the kind of the refusal, as in `BadRecord.kind`."""
        if kind == "timestamp":
            self.timestamp += 1
        else:
            self.malformed += 1
