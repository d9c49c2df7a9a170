"""Sockets that share their bytes: the same symbols, delivered the same way; and the beat of those that want fewer.

Pure. A prompt cohort is told of each update and flushes soon. A paced one is not: at its beat it looks which of its
quotes have moved since the last, so that an update nobody has time for costs nothing.
"""

from collections.abc import Callable, Collection

from watchlist.gateway.fanout.delivery import Delivery, Item
from watchlist.gateway.fanout.outbox import Outbox

PHASES = 8
"""Beats that share one interval: a second's work comes in many small parts."""

Schedule = Callable[[float, Callable[[], None]], object]
"""Runs a function after so many seconds, in the same thread."""


class Quote:
    """What the hub knows of one symbol that somebody wants.

    `version` counts the updates of the whole hub; `read` says that the value is the first one, read from the store.
    """

    __slots__ = ("cohorts", "item", "order", "read", "sockets", "symbol", "version")

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.order = (-1, -1)
        self.item: Item | None = None
        self.version = 0
        self.read = False
        self.cohorts: dict[Cohort, None] = {}
        self.sockets = 0


Key = tuple[frozenset[str], Delivery]


class Cohort:
    """Members, their quotes, and what the next flush sends them.

    A newcomer has just been sent the newest of everything. In a prompt cohort the others get what is pending first; in
    a paced one, where that would break the beat, the newcomer's first flush leaves out what it has.
    """

    __slots__ = ("_joining", "_members", "_pending", "_quotes", "_version", "delivery", "key", "phase")

    def __init__(self, key: Key, quotes: tuple[Quote, ...], version: int) -> None:
        self.key = key
        self.delivery = key[1]
        self.phase = 0
        self._quotes = quotes
        self._members: dict[Outbox, None] = {}  # a set that keeps its order, so that runs can be repeated
        self._joining: dict[Outbox, int] = {}
        self._pending: list[Item] = []
        self._version = version

    def __len__(self) -> int:
        return len(self._members) + len(self._joining)

    @property
    def quotes(self) -> tuple[Quote, ...]:
        return self._quotes

    def note(self, item: Item) -> bool:
        """Has a prompt cohort send an update at its next flush; True when it is the first."""
        self._pending.append(item)
        return len(self._pending) == 1

    def add(self, outbox: Outbox, version: int) -> int:
        """A newcomer that has all up to this version. Returns how many updates were sent."""
        if self.delivery.interval:
            self._joining[outbox] = version
            return 0
        sent = self.flush(version)
        self._members[outbox] = None
        return sent

    def remove(self, outbox: Outbox) -> int:
        """Sends the leaving socket, and it alone, what the next flush would have. Returns how many updates."""
        items = self._items(self._joining.pop(outbox, self._version))
        self._members.pop(outbox, None)
        return self._write(items, (outbox,))

    def flush(self, version: int) -> int:
        """Sends all members what is new; returns how many updates that were. `version` is the hub's newest."""
        items = self._items(self._version)
        self._pending = []
        sent = self._write(items, self._members)
        for outbox, since in self._joining.items():
            sent += self._write(self._items(since), (outbox,))
            self._members[outbox] = None
        self._joining = {}
        self._version = version
        return sent

    def _items(self, since: int) -> list[Item]:
        if not self.delivery.interval:
            return self._pending
        reads = self.delivery.snapshot
        return [
            quote.item
            for quote in self._quotes
            if quote.version > since and quote.item is not None and (reads or not quote.read)
        ]

    def _write(self, items: list[Item], outboxes: Collection[Outbox]) -> int:
        if not items or not outboxes:
            return 0
        block = self.delivery.block(items)
        for outbox in outboxes:
            outbox.write(items, block)
        return len(items) * len(outboxes)


class Pacer:
    """Flushes the cohorts of one interval, each once in it, spread over PHASES. It rests while it has none."""

    def __init__(self, interval: float, schedule: Schedule, flush: Callable[[Cohort], None]) -> None:
        self._interval = interval
        self._schedule = schedule
        self._flush = flush
        self._phases: list[dict[Cohort, None]] = [{} for _ in range(PHASES)]
        self._next = 0
        self._beating = False

    def add(self, cohort: Cohort) -> None:
        """To the phase with the fewest cohorts."""
        cohort.phase = min(range(PHASES), key=lambda number: len(self._phases[number]))
        self._phases[cohort.phase][cohort] = None
        if not self._beating:
            self._beating = True
            self._schedule(self._interval / PHASES, self._beat)

    def discard(self, cohort: Cohort) -> None:
        self._phases[cohort.phase].pop(cohort, None)

    def _beat(self) -> None:
        if not any(self._phases):
            self._beating = False
            return
        self._schedule(self._interval / PHASES, self._beat)
        self._next = (self._next + 1) % PHASES
        for cohort in list(self._phases[self._next]):
            self._flush(cohort)
