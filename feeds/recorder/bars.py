"""Bars: what the prices of a symbol did within a second, a minute or a day. Pure: updates in, figures out.

A bar is a function of the *set* of its updates, whatever their order, their batches, and how often each comes:

- `open` and `close` are the prices of the first and the last update by (timestamp, seq_id), `high` and `low` the
  extremes. Each is a minimum or a maximum, so a repeat changes nothing and a late update finds its place.
- `count` is how many updates there were. So that a repeat is not counted again, a bar remembers what it has counted as
  runs: rectangles of time and number, each of numbers without a gap. A feed whose numbers grow by one needs a single
  run, which first, last and count say already; so remembering costs nothing, and no offset has to be kept beside bars.

Prices are right for any updates at all. The count is, too, unless two feeds use the same numbers of one symbol within
one bar *and* their updates arrive mingled: then one may be taken for a repeat of the other.
"""

from bisect import insort

from feeds.stale import Order, is_newer
from feeds.wire import Update

MOST_RUNS = 64
"""Runs that a bar remembers. Beyond them its two oldest become one, and what comes late between those two is not
counted any more (its price is). A feed that loses records has some; one that shares numbers among symbols has many."""

ANY_SEQ = (0, 2**53)

Run = tuple[int, int, int, int]
"""First and last timestamp, first and last seq_id of updates that were all counted."""


class Bar:
    """One bar; `start` counts in its own length since 1970 (seconds, minutes), or is the ordinal of a day.

    Prices in the instrument's currency, `first_at` and `last_at` in unix microseconds. Empty until the first `add`.
    """

    __slots__ = (
        "close",
        "count",
        "first_at",
        "first_seq",
        "high",
        "last_at",
        "last_seq",
        "low",
        "open",
        "runs",
        "start",
    )

    def __init__(self, start: int) -> None:
        self.start = start
        self.open = self.high = self.low = self.close = 0.0
        self.count = 0
        self.first_at = self.first_seq = self.last_at = self.last_seq = 0
        self.runs: list[Run] | None = None
        """None: a single run, from first to last."""

    def add(self, update: Update) -> bool:
        """Enters an update; False when the bar had it already, and is as it was."""
        at, seq, price = update.timestamp, update.seq_id, update.price
        if self.runs is None and seq == self.last_seq + 1 and at >= self.last_at and self.count:
            # The next number, as nearly always: the one run grows.
            self.close, self.last_at, self.last_seq = price, at, seq
            self.count += 1
            if price > self.high:
                self.high = price
            elif price < self.low:
                self.low = price
            return True
        if not self.count:
            self.open = self.high = self.low = self.close = price
            self.first_at = self.last_at = at
            self.first_seq = self.last_seq = seq
            self.count = 1
            return True
        return self._add_odd(at, seq, price)

    def _add_odd(self, at: int, seq: int, price: float) -> bool:
        """A repeat, a late update, or one after a gap."""
        changed = self._count(at, seq)
        if price > self.high or price < self.low:
            self.high, self.low = max(self.high, price), min(self.low, price)
            changed = True
        if is_newer(Order(at, seq), Order(self.last_at, self.last_seq)):
            self.close, self.last_at, self.last_seq = price, at, seq
            changed = True
        elif is_newer(Order(self.first_at, self.first_seq), Order(at, seq)):
            self.open, self.first_at, self.first_seq = price, at, seq
            changed = True
        if self.runs == [(self.first_at, self.last_at, self.first_seq, self.last_seq)]:
            self.runs = None
        return changed

    def _count(self, at: int, seq: int) -> bool:
        """Counts an update that no run holds, and joins the runs that it touches."""
        runs = [(self.first_at, self.last_at, self.first_seq, self.last_seq)] if self.runs is None else self.runs
        before = after = None
        for run in runs:
            first_at, last_at, first_seq, last_seq = run
            if first_at <= at <= last_at and first_seq <= seq <= last_seq:
                return False
            if last_seq == seq - 1 and last_at <= at:
                before = run  # the latest of them: runs are in the order of their times
            elif first_seq == seq + 1 and first_at >= at and after is None:
                after = run
        grown = [at, at, seq, seq]
        if before:
            grown[0], grown[2] = before[0], before[2]
            runs.remove(before)
        if after:
            grown[1], grown[3] = after[1], after[3]
            runs.remove(after)
        insort(runs, (grown[0], grown[1], grown[2], grown[3]))
        if len(runs) > MOST_RUNS:
            runs[:2] = [_enclose(*runs[:2])]
        self.runs = runs
        self.count += 1
        return True

    def seal(self) -> None:
        """Takes all between first and last for counted: for a bar whose runs were not kept."""
        if self.count != self.last_seq - self.first_seq + 1:
            self.runs = [(self.first_at, self.last_at, *ANY_SEQ)]

    @property
    def figures(self) -> tuple[float, float, float, float, int]:
        """Open, high, low, close, count."""
        return self.open, self.high, self.low, self.close, self.count

    @property
    def state(self) -> tuple[object, ...]:
        """All that it is; two bars of the same updates have the same."""
        first, last = (self.first_at, self.first_seq), (self.last_at, self.last_seq)
        return self.start, *self.figures, first, last, self.runs


def _enclose(one: Run, other: Run) -> Run:
    return min(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), max(one[3], other[3])
