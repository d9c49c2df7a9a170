"""Groups sockets with the same symbols and delivery: a cohort serializes each update once.

Pure. A prompt cohort (delivery.interval is 0) is given each update with `add_update`, and is flushed a few milliseconds
later. A paced cohort is given no updates: at each interval it sends the newest update of each symbol whose version has
grown, so updates in between cost nothing.
"""

from collections.abc import Collection, Sequence

from watchlist.gateway.fanout.delivery import Delivery
from watchlist.gateway.fanout.outbox import Outbox
from watchlist.gateway.messages import UpdateMessage


class TrackedSymbol:
    """The hub's state of one subscribed symbol.

    `message`, `timestamp` and `seq_id` are those of the newest update. `version` is the number of that update among all
    updates of the hub. `from_store` says that it is the first update of the symbol here and was read from Redis, not
    published.
    """

    __slots__ = ("cohorts", "from_store", "message", "seq_id", "socket_count", "symbol", "timestamp", "version")

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.timestamp = self.seq_id = -1
        self.message: UpdateMessage | None = None
        self.version = 0
        self.from_store = False
        self.cohorts: dict[Cohort, None] = {}  # Only prompt cohorts: paced ones read `version` instead.
        self.socket_count = 0


CohortKey = tuple[frozenset[str], Delivery]


class Cohort:
    """The member sockets, their symbols, and the updates of the next flush.

    A socket that joins has just received the newest update of each symbol, and must not receive it again. A prompt
    cohort therefore sends the pending updates to the other members first. A paced cohort cannot do so before its
    interval ends. There the first flush leaves out, for the new member alone, the updates that it has.
    """

    __slots__ = ("_joining", "_members", "_pending", "_symbols", "_version", "delivery", "key", "phase")

    def __init__(self, key: CohortKey, symbols: tuple[TrackedSymbol, ...], version: int) -> None:
        self.key = key
        self.delivery = key[1]
        self.phase = 0
        self._symbols = symbols
        self._members: dict[Outbox, None] = {}  # An ordered set: sockets are written to in the same order in each run.
        self._joining: dict[Outbox, int] = {}
        self._pending: list[UpdateMessage] = []
        self._version = version

    def __len__(self) -> int:
        return len(self._members) + len(self._joining)

    @property
    def symbols(self) -> tuple[TrackedSymbol, ...]:
        return self._symbols

    def add_update(self, message: UpdateMessage) -> bool:
        """Adds an update to the next flush of a prompt cohort. Returns True if it is the only one there."""
        self._pending.append(message)
        return len(self._pending) == 1

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
        return sent

    def _messages_since(self, version: int) -> Sequence[UpdateMessage]:
        if not self.delivery.interval:
            return self._pending
        snapshot = self.delivery.snapshot
        return [
            tracked.message
            for tracked in self._symbols
            if tracked.version > version and tracked.message is not None and (snapshot or not tracked.from_store)
        ]

    def _write(self, messages: Sequence[UpdateMessage], outboxes: Collection[Outbox]) -> int:
        if not messages or not outboxes:
            return 0
        block = self.delivery.join_frames(messages)
        for outbox in outboxes:
            outbox.write(messages, block)
        return len(messages) * len(outboxes)
