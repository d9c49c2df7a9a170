"""Groups sockets with the same symbols and delivery: a cohort serializes each update once.

Pure. A prompt cohort (delivery.interval 0) receives each update with `add_update` and flushes soon. A paced cohort
receives none: at each interval it sends the symbols whose version has grown, so updates in between cost nothing. Only
the first update of a symbol passes `add_first` and is sent soon, so that a new client does not wait for the interval.
"""

from collections.abc import Collection, Iterable, Sequence

from watchlist.gateway.fanout.delivery import Delivery
from watchlist.gateway.fanout.outbox import Outbox
from watchlist.gateway.messages import UpdateMessage


class TrackedSymbol:
    """The hub's state of one subscribed symbol.

    `message`, `timestamp` and `seq_id` are those of the newest update; `version` is its number among all updates of the
    hub. `from_store` says that it is the first one, and was read from the store rather than published. `refused` is
    the last stored value that is not an update: it is read again at every resync, and counted once.
    """

    __slots__ = (
        "cohorts",
        "from_store",
        "message",
        "paced_cohorts",
        "refused",
        "seq_id",
        "socket_count",
        "symbol",
        "timestamp",
        "version",
    )

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.timestamp = self.seq_id = -1
        self.message: UpdateMessage | None = None
        self.version = 0
        self.from_store = False
        self.refused: bytes | None = None
        self.cohorts: dict[Cohort, None] = {}  # Only prompt cohorts: paced ones read `version` instead.
        self.paced_cohorts: dict[Cohort, None] = {}
        self.socket_count = 0


CohortKey = tuple[frozenset[str], Delivery]


class Cohort:
    """The member sockets, their symbols, and the updates of the next flush.

    A socket that joins has just received the newest update of each symbol, and must not receive it again. A prompt
    cohort therefore sends the pending updates to the other members first. A paced cohort cannot do so before its
    interval ends. There the first flush leaves out, for the new member alone, the updates that it has.
    """

    __slots__ = (
        "_early",
        "_first",
        "_joining",
        "_members",
        "_pending",
        "_symbols",
        "_version",
        "delivery",
        "key",
        "phase",
    )

    def __init__(self, key: CohortKey, symbols: tuple[TrackedSymbol, ...], version: int) -> None:
        self.key = key
        self.delivery = key[1]
        self.phase = 0
        self._symbols = symbols
        self._members: dict[Outbox, None] = {}  # An ordered set: sockets are written to in the same order in each run.
        self._joining: dict[Outbox, int] = {}
        self._pending: list[UpdateMessage] = []
        self._version = version
        self._first: list[TrackedSymbol] = []
        self._early: dict[TrackedSymbol, int] = {}  # versions that were sent since the last flush

    def __len__(self) -> int:
        return len(self._members) + len(self._joining)

    @property
    def symbols(self) -> tuple[TrackedSymbol, ...]:
        return self._symbols

    def add_update(self, message: UpdateMessage) -> bool:
        """Adds an update to the next flush of a prompt cohort. Returns True if it is the only one there."""
        self._pending.append(message)
        return len(self._pending) == 1

    def add_first(self, tracked: TrackedSymbol) -> bool:
        """Adds the first update of a symbol of a paced cohort. Returns True if it is the only one that waits."""
        self._first.append(tracked)
        return len(self._first) == 1

    def flush_first(self) -> int:
        """Sends the updates of `add_first`, before the interval has passed. Returns how many updates were sent."""
        first, self._first = self._first, []
        sent = self._write(self._newer(first, self._version), self._members)
        for outbox, since in self._joining.items():
            sent += self._write(self._newer(first, since), (outbox,))
        self._early.update((tracked, tracked.version) for tracked in first)
        return sent

    def add_member(self, outbox: Outbox, version: int) -> int:
        """Adds a socket that has all updates up to `version`. Returns how many updates others were sent."""
        if self.delivery.interval:
            self._joining[outbox] = version
            return 0
        sent = self.flush(version)
        self._members[outbox] = None
        return sent

    def remove_member(self, outbox: Outbox) -> int:
        """Sends a socket what the next flush would send it, and removes the socket.

        Returns how many updates were sent.
        """
        messages = self._messages_since(self._joining.pop(outbox, self._version))
        self._members.pop(outbox, None)
        return self._write(messages, (outbox,))

    def flush(self, version: int) -> int:
        """Sends the new updates to all members. Returns how many updates were sent.

        `version` is the newest version of the hub.
        """
        messages = self._messages_since(self._version)
        self._pending = []
        sent = self._write(messages, self._members)
        for outbox, since in self._joining.items():
            sent += self._write(self._messages_since(since), (outbox,))
            self._members[outbox] = None
        self._joining = {}
        self._version = version
        self._early = {}
        return sent

    def _messages_since(self, version: int) -> Sequence[UpdateMessage]:
        if not self.delivery.interval:
            return self._pending
        return self._newer(self._symbols, version)

    def _newer(self, symbols: Iterable[TrackedSymbol], version: int) -> list[UpdateMessage]:
        """Returns the messages of a paced cohort that are newer than `version` and were not sent early."""
        snapshot, early = self.delivery.snapshot, self._early
        return [
            tracked.message
            for tracked in symbols
            if tracked.version > version
            and tracked.message is not None
            and (snapshot or not tracked.from_store)
            and (not early or early.get(tracked) != tracked.version)
        ]

    def _write(self, messages: Sequence[UpdateMessage], outboxes: Collection[Outbox]) -> int:
        if not messages or not outboxes:
            return 0
        block = self.delivery.join_frames(messages)
        for outbox in outboxes:
            outbox.write(messages, block)
        return len(messages) * len(outboxes)
