"""Holds the counters of one gateway process, which the metrics show. Pure."""

from collections import Counter

from watchlist.gateway.protocol import CloseCode


class GatewayCounts:
    """Counts connections and requests. The hub counts updates in `HubCounts`.

    `accepted` is the number of accepted sockets. `refused` maps the reason to the number of refused connections and
    requests, `closed` the name of the close code to the number of sockets that the gateway closed.
    `rate_limit_unanswered` is the number of connections accepted without a rate check because Redis did not answer.
    """

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
    """Counts updates. They are plain attributes, because the hub changes them for each update.

    Received updates are `accepted`, `stale` (not newer than the known one), `malformed` (invalid) or `unwanted` (of a
    symbol without subscription). `gaps` is the number of accepted updates whose seq_id skipped numbers, `sent` the
    number of updates handed to sockets.
    """

    __slots__ = ("accepted", "gaps", "malformed", "sent", "stale", "timestamp", "unwanted")

    def __init__(self) -> None:
        self.accepted = self.sent = self.stale = self.malformed = self.timestamp = self.unwanted = self.gaps = 0

    def count_refused(self, kind: str) -> None:
        """Counts an update that `feeds.wire` refuses; `kind` is that of its error."""
        if kind == "timestamp":
            self.timestamp += 1
        else:
            self.malformed += 1
