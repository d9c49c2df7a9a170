"""The counters of one gateway process, which metrics read. Pure."""

from collections import Counter

from watchlist.gateway.protocol import CloseCode


class GatewayCounts:
    """Counts connections and requests. The hub counts updates in `HubCounts`."""

    def __init__(self) -> None:
        self.accepted = 0
        self.refused: Counter[str] = Counter()
        self.closed: Counter[str] = Counter()
        self.rate_limit_unanswered = 0
        self.direct_writes = False
        """Whether the newest connection writes straight to Daphne's transport."""

    def count_close(self, code: CloseCode) -> None:
        self.closed[code.name.lower()] += 1


class HubCounts:
    """Counts updates. Plain attributes, because the hub changes them for each update."""

    __slots__ = ("accepted", "gaps", "malformed", "sent", "stale", "timestamp", "unwanted")

    def __init__(self) -> None:
        self.accepted = self.sent = self.stale = self.malformed = self.timestamp = self.unwanted = self.gaps = 0

    def count_refused(self, kind: str) -> None:
        """Counts an update that `feeds.wire` refuses; `kind` is that of its error."""
        if kind == "timestamp":
            self.timestamp += 1
        else:
            self.malformed += 1
