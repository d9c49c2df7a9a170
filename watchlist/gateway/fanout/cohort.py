"""Defines cohorts: groups of sockets with the same symbols and delivery options, which share frames.

Pure. A prompt cohort has no limit of updates per second, and sends each update within a few milliseconds. A paced
cohort has such a limit, and sends the newest update of each changed symbol once per interval. The first known update of
a symbol does not wait for the interval: `flush_first` sends this update early.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby

from watchlist.gateway.deflate.compressor import MIN_SOCKETS
from watchlist.gateway.fanout.delivery import Block, Delivery
from watchlist.gateway.fanout.outbox import Outbox
from watchlist.gateway.messages import UpdateMessage


class TrackedSymbol:
    """What the hub knows about one subscribed symbol.

    `message`, `timestamp` and `seq_id` belong to the newest update of the symbol. `version` is the serial number of
    this update among the updates of all symbols.
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
        """Whether the only known update is a quote that was read from Redis."""
        self.refused: bytes | None = None
        """The last invalid quote that was read from Redis. The same quote is not counted again."""
        self.cohorts: dict[Cohort, None] = {}  # Only prompt cohorts: paced cohorts read `version`.
        self.paced_cohorts: dict[Cohort, None] = {}
        self.socket_count = 0


CohortKey = tuple[frozenset[str], Delivery]


class Cohort:
    """Holds the member sockets, their symbols, and the updates of the next flush.

    Methods that send return the number of sent updates. An update that is sent to two sockets counts twice.
    """

    __slots__ = (
        "_early",
        "_first",
        "_joining",
        "_members",
        "_pending",
        "_snapshot",
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
        self._members: dict[Outbox, None] = {}  # a dict, and no set, because a dict keeps the order of the sockets
        self._joining: dict[Outbox, int] = {}
        self._pending: list[UpdateMessage] = []
        self._version = version
        self._first: list[TrackedSymbol] = []
        self._early: dict[TrackedSymbol, int] = {}  # versions that were sent since the last flush
        self._snapshot: Block | None = None

    def __len__(self) -> int:
        return len(self._members) + len(self._joining)

    @property
    def symbols(self) -> tuple[TrackedSymbol, ...]:
        return self._symbols

    def add_update(self, message: UpdateMessage) -> bool:
        """Adds an update to the next flush. Returns True if this update is the first since the last flush.

        Call this method only for a cohort without a limit of updates per second.
        """
        pending = self._pending
        pending.append(message)
        return len(pending) == 1

    def add_first(self, tracked: TrackedSymbol) -> bool:
        """Adds the first known update of a symbol to the next `flush_first`.

        Returns True if no other update waits there. Call this method only for a cohort with a limit of updates per
        second.
        """
        self._first.append(tracked)
        return len(self._first) == 1

    def flush_first(self) -> int:
        """Sends the updates that `add_first` added. Returns how many updates were sent."""
        first, self._first = self._first, []
        sent = self._write(self._newer(first, self._version), self._members) + self._write_joining(first)
        self._early.update((tracked, tracked.version) for tracked in first)
        return sent

    def add_member(self, outbox: Outbox, version: int) -> int:
        """Adds a socket that already has all updates up to the serial number `version`.

        A cohort without a limit of updates per second first sends its waiting updates to the other members. A cohort
        with a limit sends nothing. Returns how many updates were sent.
        """
        if self.delivery.interval:
            self._joining[outbox] = version  # the next flush sends this socket only later updates
            return 0
        sent = self.flush(version)
        self._members[outbox] = None
        return sent

    def send_snapshot(self, outbox: Outbox, messages: Sequence[UpdateMessage]) -> int:
        """Sends `messages` to a new socket of the cohort. Returns how many updates were sent.

        `messages` are the newest updates of the symbols to which the socket has subscribed.
        """
        block = self._snapshot
        if block is None or block.messages != messages:
            block = self.delivery.make_block(messages, len(self))
            # The next sockets that join a large cohort often need the same frames. A small cohort saves the memory.
            self._snapshot = block if len(self) >= MIN_SOCKETS else None
        outbox.write(block)
        return len(messages)

    def remove_member(self, outbox: Outbox) -> int:
        """Sends a socket the updates that wait for the next flush, then removes the socket.

        Returns how many updates were sent.
        """
        since = self._joining.pop(outbox, self._version)
        self._members.pop(outbox, None)
        if outbox.closed:  # No frames are built for a connection that has ended.
            return 0
        return self._write(self._messages_since(since), (outbox,))

    def flush(self, version: int) -> int:
        """Sends all members the updates since the last flush. Returns how many updates were sent.

        `version` is the serial number of the hub's newest update.
        """
        messages = self._messages_since(self._version)
        self._pending = []
        sent = self._write(messages, self._members)
        if self._joining:
            sent += self._write_joining(self._symbols)
            self._members.update(dict.fromkeys(self._joining))
            self._joining = {}
        if messages:
            self._snapshot = None
        self._version = version
        self._early = {}
        return sent

    def _messages_since(self, version: int) -> Sequence[UpdateMessage]:
        if not self.delivery.interval:
            return self._pending
        return self._newer(self._symbols, version)

    def _newer(self, symbols: Iterable[TrackedSymbol], version: int) -> list[UpdateMessage]:
        """Returns the newest update of each symbol, if the update's serial number is greater than `version`.

        Updates that `flush_first` has sent are left out. Quotes that were read from Redis are left out if the client
        wants no snapshot.
        """
        snapshot, early = self.delivery.snapshot, self._early
        return [
            tracked.message
            for tracked in symbols
            if tracked.version > version
            and tracked.message is not None
            and (snapshot or not tracked.from_store)
            and (not early or early.get(tracked) != tracked.version)
        ]

    def _write_joining(self, symbols: Iterable[TrackedSymbol]) -> int:
        """Sends updates of `symbols` to the sockets that joined since the last flush.

        Each socket is sent only the updates that came after its join. Returns how many updates were sent.
        """
        # Sockets that lack the same updates share a block.
        groups = groupby(self._joining.items(), lambda joined: self._newer(symbols, joined[1]))
        return sum(self._write(messages, [outbox for outbox, _ in group]) for messages, group in groups)

    def _write(self, messages: Sequence[UpdateMessage], outboxes: Collection[Outbox]) -> int:
        if not messages or not outboxes:
            return 0
        block = self.delivery.make_block(messages, len(self))
        for outbox in outboxes:
            outbox.write(block)
        return len(messages) * len(outboxes)
