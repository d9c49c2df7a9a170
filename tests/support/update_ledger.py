"""Compares the updates that were produced, acknowledged, published and stored. Pure.

An update is identified by its symbol and its order. The log is the topic: the acknowledged updates of a symbol in the
order of their offsets.

The pipeline must publish each *due* update. An update is due if it was acknowledged and is newer than every earlier
update of its symbol. Update A is earlier than update B in two cases. First: A is before B in the log. Second: A was
produced before B and was not acknowledged, because the log may contain A.

The report has one list for each kind of fault. A publication is in at most one list:

- `lost`: a due update that was never published. If the listener may have missed the publication (see `add_gap`), the
  update counts as `unobserved` and not as lost.
- `behind`: a symbol whose stored update is missing, or older than the newest update that was due or published.
- `duplicated`: an update that was published again. Each repetition has its own entry.
- `reordered`: a due update whose first publication came after a newer update of its symbol.
- `stale`: an update that was not due, and whose first publication came after a newer update of its symbol. The
  processor should drop such updates.
- `foreign`: an update that was published or stored, but never produced.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from feeds.errors import BadRecord
from feeds.wire import Update, decode

Order = tuple[int, int]
BEFORE_ALL: Order = (-1, -1)
AFTER_ALL: Order = (2**63, 0)


@dataclass(frozen=True, slots=True)
class Report:
    """The counts, and a list for each kind of fault. The module docstring defines the kinds."""

    due: int
    published: int
    unobserved: int
    lost: list[tuple[str, Order]] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)
    duplicated: list[tuple[str, Order]] = field(default_factory=list)
    reordered: list[tuple[str, Order]] = field(default_factory=list)
    stale: list[tuple[str, Order]] = field(default_factory=list)
    foreign: list[tuple[str, Order]] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, int]:
        """A dict from each kind of fault that occurred to the number of faults, such as `{"lost": 2}`."""
        kinds = ("lost", "behind", "duplicated", "reordered", "stale", "foreign")
        return {kind: len(getattr(self, kind)) for kind in kinds if getattr(self, kind)}

    def __str__(self) -> str:
        counts = f"{self.due} due, {self.published} published, {self.unobserved} unobserved"
        return f"{counts}, faults {self.faults or 'none'}"


@dataclass(slots=True)
class SymbolHistory:
    """The updates of one symbol.

    `produced` maps an order to its position among all produced updates. `log` maps an order to its offset. `published`
    holds the published orders. `gaps` holds the length of `published` at each gap.
    """

    produced: dict[Order, int] = field(default_factory=dict)
    log: dict[Order, int] = field(default_factory=dict)
    published: list[Order] = field(default_factory=list)
    gaps: list[int] = field(default_factory=list)

    def due(self) -> list[Order]:
        """Returns the acknowledged orders that must be published, in the order of the log."""
        unacknowledged = sorted((position, order) for order, position in self.produced.items() if order not in self.log)
        due, top, index = [], BEFORE_ALL, 0
        for order, _offset in sorted(self.log.items(), key=lambda entry: entry[1]):
            position = self.produced.get(order, 0)
            while index < len(unacknowledged) and unacknowledged[index][0] < position:
                top = max(top, unacknowledged[index][1])
                index += 1
            if order > top:
                due.append(order)
                top = order
        return due

    def knows(self, order: Order) -> bool:
        return order in self.produced or order in self.log

    def gap_bounds(self) -> Iterator[tuple[Order, Order]]:
        """Yields two orders for each gap: the newest order before the gap, and the first order after the gap."""
        for before in self.gaps:
            after = self.published[before] if before < len(self.published) else AFTER_ALL
            yield max(self.published[:before], default=BEFORE_ALL), after


class Ledger:
    """The updates of all symbols. One thread may produce while another thread listens."""

    def __init__(self) -> None:
        self._symbols: dict[str, SymbolHistory] = {}
        self._position = 0
        self.published = 0

    def _of(self, symbol: str) -> SymbolHistory:
        return self._symbols.setdefault(symbol, SymbolHistory())

    def add_produced(self, update: Update) -> None:
        """Adds an update that was passed to a producer."""
        self._position += 1
        self._of(update.symbol).produced.setdefault(update.order, self._position)

    def add_acknowledged(self, update: Update, offset: int) -> None:
        """Adds an update that is at this offset of its partition."""
        self._of(update.symbol).log.setdefault(update.order, offset)

    def add_published(self, update: Update) -> None:
        """Adds an update that a listener received."""
        self.published += 1
        self._of(update.symbol).published.append(update.order)

    def add_gap(self) -> None:
        """Adds a gap: the listener was disconnected, and may have missed publications since the last publication."""
        for history in list(self._symbols.values()):
            history.gaps.append(len(history.published))

    def newest(self) -> dict[str, Order]:
        """Returns a dict from symbol to the newest due order. At the end, Redis must hold this order."""
        return {symbol: due[-1] for symbol, history in self._symbols.items() if (due := history.due())}

    def report(self, stored: Mapping[str, bytes | None]) -> Report:
        """Returns the report. `stored` maps each symbol to the bytes in Redis."""
        report = Report(
            due=sum(len(history.due()) for history in self._symbols.values()),
            published=self.published,
            unobserved=sum(len(list(_unobserved(history))) for history in self._symbols.values()),
        )
        for symbol, history in self._symbols.items():
            due = set(history.due())
            report.lost.extend((symbol, order) for order in due - set(history.published) - set(_unobserved(history)))
            _check_publications(report, symbol, history, due)
        for symbol in self._symbols.keys() | stored.keys():
            _check_stored(report, symbol, self._of(symbol), stored.get(symbol))
        return report


def _unobserved(history: SymbolHistory) -> Iterator[Order]:
    bounds = list(history.gap_bounds())
    published = set(history.published)
    for order in history.due():
        if order not in published and any(before < order < after for before, after in bounds):
            yield order


def _check_publications(report: Report, symbol: str, history: SymbolHistory, due: set[Order]) -> None:
    """Adds the publications of a symbol that are faults to the report."""
    # An update that was never acknowledged may be published. Its position among the produced updates decides.
    orders = sorted(history.produced, key=history.produced.__getitem__)
    rising = {order for before, order in pairwise([BEFORE_ALL, *orders]) if order > before}
    top, seen = BEFORE_ALL, set[Order]()
    for order in history.published:
        entry = (symbol, order)
        if not history.knows(order):
            report.foreign.append(entry)
        elif order in seen:
            report.duplicated.append(entry)
        elif order < top:
            allowed = order in due or (order not in history.log and order in rising)
            (report.reordered if allowed else report.stale).append(entry)
        seen.add(order)
        if history.knows(order):
            top = max(top, order)


def _check_stored(report: Report, symbol: str, history: SymbolHistory, stored: bytes | None) -> None:
    """Adds a fault to the report if the stored update was never produced, or is older than the expected update."""
    known = [order for order in history.published if history.knows(order)]
    expected = max([*history.due(), *known], default=BEFORE_ALL)
    try:
        order = decode(stored).order if stored is not None else BEFORE_ALL
    except BadRecord:
        order = BEFORE_ALL
    if order != BEFORE_ALL and not history.knows(order):
        report.foreign.append((symbol, order))
    elif order < expected:
        report.behind.append(symbol)
