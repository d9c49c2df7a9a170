"""Holds the counters that the metrics of one gateway process show. Pure."""

from collections import Counter

from watchlist.gateway.protocol import CloseCode


class GatewayCounts:
    """Counts connections and requests. The hub counts updates in `HubCounts`.

    `accepted` is the number of accepted sockets. `refused` maps each reason to the number of connections and requests
    refused for it. `closed` maps the name of each close code to the number of sockets that the gateway closed with it.
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
    """Counts updates. The counters are plain attributes, because the hub changes them for each update.

    Each received update is counted once:

    - `accepted`: it is newer than the known update of its symbol,
    - `stale`: it is not newer,
    - `malformed`: it is invalid,
    - `unwanted`: its symbol has no subscription.

    `gaps` is the number of accepted updates whose seq_id skipped numbers. `sent` is the number of updates handed to
    sockets.
    """

    __slots__ = ("accepted", "gaps", "malformed", "sent", "stale", "timestamp", "unwanted")

    def __init__(self) -> None:
        self.accepted = self.sent = self.stale = self.malformed = self.timestamp = self.unwanted = self.gaps = 0

    def count_refused(self, kind: str) -> None:
        """Counts an update that `feeds.wire` refuses. `kind` is the kind of the error that it raised."""
        if kind == "timestamp":
            self.timestamp += 1
        else:
            self.malformed += 1
