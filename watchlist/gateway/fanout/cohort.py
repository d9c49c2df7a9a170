"""Defines cohorts: groups of sockets with the same symbols and delivery, which share joined frames.

Pure. A prompt cohort has the interval 0 in its delivery. It receives each update with `add_update` and flushes soon. A
paced cohort has a longer interval. At each interval it sends the newest update of each symbol whose version has grown.
It does not receive the updates in between, so they cost nothing. It receives only the first update of a symbol, with
`add_first`, and sends it soon. A new client therefore does not wait for the interval.
"""

from collections.abc import Collection, Iterable, Sequence

from watchlist.gateway.fanout.delivery import Delivery
from watchlist.gateway.fanout.outbox import Outbox
from watchlist.gateway.messages import UpdateMessage


class TrackedSymbol:
    """The hub's state of one subscribed symbol.

    `message`, `timestamp` and `seq_id` belong to the newest update of the symbol. `version` is the number of this
    update among all updates of the hub. `from_store` says that this update is the first of the symbol, and was read
    from Redis and not published. `refused` is the last value in Redis that is not an update. Every resync reads this
    value again, but it is counted once.
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
        self.cohorts: dict[Cohort, None] = {}  # Only prompt cohorts: paced cohorts read `version`.
        self.paced_cohorts: dict[Cohort, None] = {}
        self.socket_count = 0


CohortKey = tuple[frozenset[str], Delivery]


class Cohort:
    """The member sockets, their symbols, and the updates of the next flush.

    A socket that joins has just received the newest update of each symbol, and must not receive this update again. A
    prompt cohort therefore sends its pending updates to the other members before the socket joins. A paced cohort
    cannot send before its interval ends. Its next flush leaves out the updates that the new member has already, for
    this member alone.
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
        self._members: dict[Outbox, None] = {}  # An ordered set: each run writes to the sockets in the same order.
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
        """Adds an update to the next flush of a prompt cohort. Returns True if no other update waits for the flush."""
        self._pending.append(message)
        return len(self._pending) == 1

    def add_first(self, tracked: TrackedSymbol) -> bool:
        """Adds the first update of a symbol to a paced cohort. Returns True if no other first update waits."""
        self._first.append(tracked)
        return len(self._first) == 1

    def flush_first(self) -> int:
        """Sends the updates that `add_first` added, before the interval ends. Returns how many updates were sent."""
        first, self._first = self._first, []
        sent = self._write(self._newer(first, self._version), self._members)
        for outbox, since in self._joining.items():
            sent += self._write(self._newer(first, since), (outbox,))
        self._early.update((tracked, tracked.version) for tracked in first)
        return sent

    def add_member(self, outbox: Outbox, version: int) -> int:
        """Adds a socket that has all updates up to `version`. Returns how many updates the other members were sent."""
        if self.delivery.interval:
            self._joining[outbox] = version
            return 0
        sent = self.flush(version)
        self._members[outbox] = None
        return sent

    def remove_member(self, outbox: Outbox) -> int:
        """Sends a socket the updates that the next flush would send it. Then removes the socket.

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
        """Returns the updates of a paced cohort newer than `version`, without those that `flush_first` sent."""
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
