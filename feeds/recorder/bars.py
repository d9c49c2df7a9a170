"""Computes bars: open, high, low, close, count and volume of the updates in a period. Pure.

A bar depends only on which updates were added. Repeated updates and the order of the updates make no difference. The
values of a bar are:

- `open` and `close` are the prices of the first and the last update by (timestamp, seq_id).
- `high` and `low` are the highest and the lowest price.
- `count` is the number of different updates. A bar remembers the counted updates as runs. A run stands for updates with
  consecutive seq_ids.
- `volume` is the sum of the sizes of the counted updates, in whole units of 1e-8.
"""

from bisect import insort

from feeds.bar_layout import MAX_VOLUME
from feeds.stale import Order, is_newer
from feeds.wire import Update

MAX_RUNS = 64
"""The greatest number of runs in a bar. If there are more runs, the two oldest runs are merged."""

ALL_SEQ_IDS = (0, 2**53)

UNITS_PER_ONE = 10**8

Run = tuple[int, int, int, int]
"""A range of counted updates: (first timestamp, last timestamp, first seq_id, last seq_id)."""


class Bar:
    """The prices, the count and the volume of a symbol's updates in one second, minute or day.

    `start` counts seconds or minutes from 1970. In a day bar, `start` is the ordinal of the date (`date.toordinal`).
    `first_at` and `last_at` are the times of the first and the last update, in unix microseconds. `first_seq` and
    `last_seq` are the seq_ids of these two updates.
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
        "volume",
    )

    def __init__(self, start: int) -> None:
        self.start = start
        self.open = self.high = self.low = self.close = 0.0
        self.count = self.volume = 0
        self.first_at = self.first_seq = self.last_at = self.last_seq = 0
        self.runs: list[Run] | None = None
        """None stands for a single run from the first to the last update."""

    def add(self, update: Update, units: int | None = None) -> bool:
        """Adds an update. Returns whether the bar changed. A repeated update changes nothing.

        A caller that adds an update to several bars passes `units`, the result of `size_in_units`.
        """
        if units is None:
            units = size_in_units(update)
        at, seq, price = update.timestamp, update.seq_id, update.price
        if self.runs is None and seq == self.last_seq + 1 and at >= self.last_at and self.count:
            # The usual case: the next seq_id extends the single run.
            self.close, self.last_at, self.last_seq = price, at, seq
            self.count += 1
            if units:
                self._add_volume(units)
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
            self._add_volume(units)
            return True
        return self._add_out_of_sequence(update, units)

    def _add_volume(self, units: int) -> None:
        volume = self.volume + units
        self.volume = volume if volume < MAX_VOLUME else MAX_VOLUME  # `min` takes three times as long

    def _add_out_of_sequence(self, update: Update, units: int) -> bool:
        """Adds an update that does not directly follow the last update of the bar. Returns whether the bar changed."""
        at, seq, price = update.timestamp, update.seq_id, update.price
        changed = self._count_once(at, seq)
        if changed:
            self._add_volume(units)
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

    def _count_once(self, at: int, seq: int) -> bool:
        """Counts an update. Returns False if the bar has counted the update already."""
        runs = [(self.first_at, self.last_at, self.first_seq, self.last_seq)] if self.runs is None else self.runs
        before = after = None
        for run in runs:
            first_at, last_at, first_seq, last_seq = run
            # In rare cases a new update is not counted. For example, two feeds may use the same seq_ids for one symbol.
            if first_at <= at <= last_at and first_seq <= seq <= last_seq:
                return False
            if last_seq == seq - 1 and last_at <= at:
                before = run  # keeps the latest: runs are sorted by time
            elif first_seq == seq + 1 and first_at >= at and after is None:
                after = run
        # Join the update with the run directly before it and the run directly after it.
        first_at, first_seq, last_at, last_seq = at, seq, at, seq
        if before:
            first_at, first_seq = before[0], before[2]
            runs.remove(before)
        if after:
            last_at, last_seq = after[1], after[3]
            runs.remove(after)
        insort(runs, (first_at, last_at, first_seq, last_seq))
        # A late update between the two merged runs is not counted any more.
        if len(runs) > MAX_RUNS:
            runs[:2] = [_merge(*runs[:2])]
        self.runs = runs
        self.count += 1
        return True

    def absorb(self, other: "Bar") -> bool:
        """Adds the updates of `other`. Returns whether this bar changed.

        `other` is a bar of the same symbol and period from another recorder.
        """
        mine, others = self._all_runs, other._all_runs
        if not other.count or all(any(_contains(run, part) for run in mine) for part in others):
            return False
        # Whether the runs of both bars contain exactly the counted updates. If not, the higher count is kept.
        exact = _length(mine) == self.count and _length(others) == other.count
        if is_newer(Order(other.last_at, other.last_seq), Order(self.last_at, self.last_seq)):
            self.close, self.last_at, self.last_seq = other.close, other.last_at, other.last_seq
        if is_newer(Order(self.first_at, self.first_seq), Order(other.first_at, other.first_seq)):
            self.open, self.first_at, self.first_seq = other.open, other.first_at, other.first_seq
        self.high, self.low = max(self.high, other.high), min(self.low, other.low)
        runs = _unite([*mine, *others])
        # If the bars have a common update, its size is not known any more. The sum of the sizes may then be too low.
        is_disjoint = exact and _length(runs) == self.count + other.count
        self.volume = min(self.volume + other.volume, MAX_VOLUME) if is_disjoint else max(self.volume, other.volume)
        self.count = _length(runs) if exact else max(self.count, other.count)
        while len(runs) > MAX_RUNS:
            runs[:2] = [_merge(*runs[:2])]
        self.runs = None if runs == [(self.first_at, self.last_at, self.first_seq, self.last_seq)] else runs
        return True

    @property
    def _all_runs(self) -> list[Run]:
        return self.runs or [(self.first_at, self.last_at, self.first_seq, self.last_seq)]

    def mark_range_counted(self) -> None:
        """Treats every update between the bar's first and last update as counted.

        Call this method for a bar from Redis, which does not store the runs.
        """
        if self.count != self.last_seq - self.first_seq + 1:
            self.runs = [(self.first_at, self.last_at, *ALL_SEQ_IDS)]

    @property
    def ohlc_count(self) -> tuple[float, float, float, float, int]:
        """The tuple (open, high, low, close, count)."""
        return self.open, self.high, self.low, self.close, self.count

    @property
    def state(self) -> tuple[object, ...]:
        """All values of the bar as a tuple. Two bars are equal if their tuples are equal."""
        first, last = (self.first_at, self.first_seq), (self.last_at, self.last_seq)
        return self.start, *self.ohlc_count, self.volume, first, last, self.runs


def size_in_units(update: Update) -> int:
    """Returns the size of an update in whole units of 1e-8, or 0 if the size is unknown."""
    return round(update.size * UNITS_PER_ONE) if update.size else 0


def _length(runs: list[Run]) -> int:
    """Returns how many updates these runs contain together."""
    return sum(last_seq - first_seq + 1 for _, _, first_seq, last_seq in runs)


def _contains(run: Run, other: Run) -> bool:
    return run[0] <= other[0] and other[1] <= run[1] and run[2] <= other[2] and other[3] <= run[3]


def _unite(runs: list[Run]) -> list[Run]:
    """Merges runs that overlap or follow each other without a gap."""
    united: list[Run] = []
    for run in sorted(runs):
        last = united[-1] if united else None
        overlaps = last and run[0] <= last[1] and run[2] <= last[3] and last[2] <= run[3]
        follows = last and run[0] >= last[1] and run[2] == last[3] + 1
        if last and (overlaps or follows):
            united[-1] = _merge(last, run)
        else:
            united.append(run)
    return united


def _merge(one: Run, other: Run) -> Run:
    return min(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), max(one[3], other[3])
