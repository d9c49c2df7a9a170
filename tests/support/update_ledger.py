"""What became of every update: produced, acknowledged by the brokers, published, and stored. Pure.

An update is known by its symbol and its order, the pair (timestamp, seq_id). The log is the topic: the acknowledged
updates of a symbol in the order of their offsets.

An update is *due* when it must be published: it was acknowledged, and is newer than each update of its symbol that lies
before it in the log, or may lie there, having been produced earlier and never acknowledged.

The report tells apart, and each publication falls under one at most:

- `lost`: due and never published. What may have been published while nobody listened (see `gap`) is `unheard` instead.
- `behind`: symbols whose stored update is older than the newest that was due or published, or is not there at all.
- `duplicated`: published again, whatever came between; once for each time.
- `reordered`: published for the first time after a newer update of its symbol, though due: the log has it before.
- `stale`: published for the first time after a newer update of its symbol, and not due: it should have been dropped.
- `foreign`: published or stored, and nobody produced it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from feeds.errors import BadRecord
from feeds.wire import Update, decode

Order = tuple[int, int]
NEVER: Order = (-1, -1)
END: Order = (2**63, 0)


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict; every list but `unheard` must be empty where nothing went wrong."""

    due: int
    published: int
    unheard: int
    lost: list[tuple[str, Order]] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)
    duplicated: list[tuple[str, Order]] = field(default_factory=list)
    reordered: list[tuple[str, Order]] = field(default_factory=list)
    stale: list[tuple[str, Order]] = field(default_factory=list)
    foreign: list[tuple[str, Order]] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, int]:
        """How many of each kind, of those that there are."""
        kinds = ("lost", "behind", "duplicated", "reordered", "stale", "foreign")
        return {kind: len(getattr(self, kind)) for kind in kinds if getattr(self, kind)}

    def __str__(self) -> str:
        return f"{self.due} due, {self.published} published, {self.unheard} unheard, faults {self.faults or 'none'}"


@dataclass(slots=True)
class Account:
    """One symbol. `produced` gives the turn of each order, `log` its offset, `gaps` how much was heard before each."""

    produced: dict[Order, int] = field(default_factory=dict)
    log: dict[Order, int] = field(default_factory=dict)
    heard: list[Order] = field(default_factory=list)
    gaps: list[int] = field(default_factory=list)

    def due(self) -> list[Order]:
        """Acknowledged orders that must be published, in the order of the log."""
        doubtful = sorted((turn, order) for order, turn in self.produced.items() if order not in self.log)
        due, top, ahead = [], NEVER, 0
        for order, _offset in sorted(self.log.items(), key=lambda entry: entry[1]):
            turn = self.produced.get(order, 0)
            while ahead < len(doubtful) and doubtful[ahead][0] < turn:
                top = max(top, doubtful[ahead][1])
                ahead += 1
            if order > top:
                due.append(order)
                top = order
        return due

    def knows(self, order: Order) -> bool:
        return order in self.produced or order in self.log

    def silences(self) -> Iterator[tuple[Order, Order]]:
        """For each gap the newest order heard before it and the first one after."""
        for before in self.gaps:
            yield max(self.heard[:before], default=NEVER), self.heard[before] if before < len(self.heard) else END


class Ledger:
    """One book for all symbols. One thread may produce and see the acknowledgements while another one listens."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._turn = 0
        self.published = 0

    def _account(self, symbol: str) -> Account:
        return self._accounts.setdefault(symbol, Account())

    def produced(self, update: Update) -> None:
        """It was handed to a producer; whether the log has it is open until `acked`."""
        self._turn += 1
        self._account(update.symbol).produced.setdefault(update.order, self._turn)

    def acked(self, update: Update, offset: int) -> None:
        """The brokers said, or the log itself shows, that it lies at this offset of its symbol's partition."""
        self._account(update.symbol).log.setdefault(update.order, offset)

    def heard(self, update: Update) -> None:
        """It was published."""
        self.published += 1
        self._account(update.symbol).heard.append(update.order)

    def gap(self) -> None:
        """From the last `heard` to the next nobody listened."""
        for account in list(self._accounts.values()):
            account.gaps.append(len(account.heard))

    def newest(self) -> dict[str, Order]:
        """The newest due order of each symbol: what Redis holds when all is done."""
        return {symbol: due[-1] for symbol, account in self._accounts.items() if (due := account.due())}

    def report(self, stored: Mapping[str, bytes | None]) -> Report:
        """Closes the book; `stored` gives the bytes in Redis by symbol."""
        report = Report(
            due=sum(len(account.due()) for account in self._accounts.values()),
            published=self.published,
            unheard=sum(len(list(_unheard(account))) for account in self._accounts.values()),
        )
        for symbol, account in self._accounts.items():
            due = set(account.due())
            report.lost.extend((symbol, order) for order in due - set(account.heard) - set(_unheard(account)))
            _judge(report, symbol, account, due)
        for symbol in self._accounts.keys() | stored.keys():
            _compare(report, symbol, self._account(symbol), stored.get(symbol))
        return report


def _unheard(account: Account) -> Iterator[Order]:
    silences = list(account.silences())
    heard = set(account.heard)
    for order in account.due():
        if order not in heard and any(before < order < after for before, after in silences):
            yield order


def _judge(report: Report, symbol: str, account: Account, due: set[Order]) -> None:
    """Files each publication that is not as it should be."""
    # One that was never acknowledged may be published: it is judged by when it was produced.
    orders = sorted(account.produced, key=account.produced.__getitem__)
    rising = {order for before, order in pairwise([NEVER, *orders]) if order > before}
    top, seen = NEVER, set[Order]()
    for order in account.heard:
        entry = (symbol, order)
        if not account.knows(order):
            report.foreign.append(entry)
        elif order in seen:
            report.duplicated.append(entry)
        elif order < top:
            fits = order in due or (order not in account.log and order in rising)
            (report.reordered if fits else report.stale).append(entry)
        seen.add(order)
        if account.knows(order):
            top = max(top, order)


def _compare(report: Report, symbol: str, account: Account, stored: bytes | None) -> None:
    """Judges what Redis holds in the end."""
    known = [order for order in account.heard if account.knows(order)]
    wanted = max([*account.due(), *known], default=NEVER)
    try:
        order = decode(stored).order if stored is not None else NEVER
    except BadRecord:
        order = NEVER
    if order != NEVER and not account.knows(order):
        report.foreign.append((symbol, order))
    elif order < wanted:
        report.behind.append(symbol)
