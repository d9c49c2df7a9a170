"""Holds what the evaluation of alerts knows about one symbol. Pure."""

from array import array
from collections import deque
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from math import inf, isfinite, nextafter
from typing import Protocol

from feeds.wire import Update
from watchlist.alerts.conditions import percent_level
from watchlist.alerts.kinds.extremes import NOTHING, Extremes
from watchlist.alerts.kinds.windows import MAX_DELAY_US, Windows
from watchlist.alerts.ladder import Ladder
from watchlist.alerts.records import Close, Order, Progress
from watchlist.alerts.slot_table import ABOVE, BELOW, EXTREME, FALL, PERCENT, RISE, SILENCE, WINDOW, SlotTable
from watchlist.prices.day import PriceRange

RECENT_US = 10_000_000
"""How long updates are kept, in microseconds. A new alert is evaluated for the kept updates since its arming."""


MINUTE_US = 60_000_000
SPARE_ENTRIES = 16
"""How many entries `Watch.later` may have beyond twice the number of alerts."""


class Days(Protocol):
    """The market days of one source. `feeds.history.market_days.MarketDays` explains the methods."""

    def day_at(self, timestamp: int) -> int: ...
    def begin(self, day: int) -> int: ...


class Watch:
    """One symbol: its newest update, its market day, its last updates, and the levels of its alerts.

    `rising` holds the levels that a rising price reaches, `falling` those that a falling price reaches. `extremes`
    holds the lowest and highest prices, `windows` the earlier prices, and `silences` the alerts on missing prices with
    their time spans in minutes. A price between `bottom` and `top` reaches no level. A price between `low` and `high`
    is also inside the day's range. `later` holds alerts whose arming update has not arrived yet. `count` is the number
    of alerts. `saved` is the order of the newest update at the last `Evaluator.take_progress`. `silence_us` is the
    shortest time span of the alerts on missing prices, in microseconds.
    """

    __slots__ = (
        "bottom",
        "count",
        "day",
        "day_begins",
        "day_ends",
        "extremes",
        "falling",
        "high",
        "later",
        "low",
        "number",
        "percent_slots",
        "price",
        "recent",
        "reference",
        "rising",
        "saved",
        "seq_id",
        "silence_us",
        "silences",
        "source",
        "symbol",
        "timestamp",
        "top",
        "turns_at",
        "windows",
    )

    def __init__(self, symbol: str, number: int) -> None:
        self.symbol = symbol
        self.number = number
        self.count = 0
        self.timestamp = self.seq_id = 0
        self.saved: Order = (0, 0)
        self.price = 0.0
        self.source = ""
        self.day = self.day_begins = self.day_ends = 0
        self.reference: float | None = None
        self.recent: deque[Update] = deque()
        self.rising, self.falling = Ladder(rising=True), Ladder(rising=False)
        self.bottom, self.top = -inf, inf
        self.low, self.high = -inf, inf
        self.percent_slots = array("I")
        self.later: list[tuple[Order, int, int]] = []
        self.extremes = Extremes()
        self.windows = Windows()
        self.silences = Ladder(rising=True)
        self.silence_us = inf
        self.turns_at: float = 0

    @property
    def order(self) -> Order:
        """The order of the newest update; (0, 0) before the first update."""
        return self.timestamp, self.seq_id

    @property
    def progress(self) -> Progress:
        """What a restarted engine must know about the symbol."""
        newest = self.price, self.timestamp, self.seq_id, self.source
        ranges = *_to_columns(self.extremes.day), *_to_columns(self.extremes.past)
        return Progress(self.symbol, *newest, self.day, self.reference, *ranges)

    def restore(self, progress: Progress, days: Days, day_range: PriceRange, past_range: PriceRange) -> None:
        """Sets the newest update and the market day to those of `progress`. Forgets the kept updates.

        `day_range` and `past_range` are the price ranges of the market day and of the 52 weeks before.
        """
        self.price, self.timestamp, self.seq_id = progress.price, progress.timestamp, progress.seq_id
        self.source, self.reference = progress.source, progress.reference
        self.saved = self.order
        self.recent.clear()
        self.extremes.restore(day_range, past_range)
        self.set_day(progress.day, days)

    def set_day(self, day: int, days: Days) -> None:
        self.day, self.day_begins, self.day_ends = day, days.begin(day), days.begin(day + 1)
        self.turns_at = 0

    def turn(self, timestamp: int) -> None:
        """Moves the windows of time forward to the bar that contains `timestamp`.

        Sets `turns_at` to the end of the bar or of the market day, whichever is earlier.
        """
        self.windows.turn(timestamp)
        self.turns_at = min(self.windows.turns_at, self.day_ends)
        self.refresh()

    @property
    def ladders(self) -> Iterator[Ladder]:
        """All ladders with alerts of the symbol."""
        yield from (self.rising, self.falling, self.silences, *self.extremes.ladders.values(), *self.windows.ladders)

    def forget_old(self) -> None:
        """Drops updates that are more than RECENT_US older than the newest one."""
        oldest = self.timestamp - RECENT_US
        while self.recent and self.recent[0].timestamp < oldest:
            self.recent.popleft()
        self.extremes.forget(oldest)

    def level(self, table: SlotTable, slot: int, timestamp: int = 0) -> float | None:
        """Returns the level of an alert for an update with this time.

        Returns None if the alert has a percent and the price to which it refers is unknown.
        """
        value = table.values[slot]
        if not table.conditions[slot] & (PERCENT | WINDOW):
            return value
        reference = self.reference_of(table, slot, timestamp)
        return None if reference is None else percent_level(reference, value)

    def reference_of(self, table: SlotTable, slot: int, timestamp: int) -> float | None:
        """Returns the price to which the percent of an alert refers, for an update with this time.

        Returns None if the price is unknown or if the alert has no percent.
        """
        condition = table.conditions[slot]
        if condition & WINDOW:
            is_too_late = timestamp < self.timestamp - MAX_DELAY_US
            return None if is_too_late else self.windows.open(table.minutes[slot]).base_at(timestamp)
        return self.reference if condition & PERCENT else None

    def place(self, table: SlotTable, slot: int) -> None:
        """Adds the levels at which the state of an alert changes next."""
        for ladder, level in self._places(table, slot):
            ladder.add(level, slot)

    def unplace(self, table: SlotTable, slot: int) -> None:
        """Removes the levels that `place` added. The alert and the reference price must not have changed since."""
        for ladder, level in self._places(table, slot):
            ladder.remove(level, slot)

    def _places(self, table: SlotTable, slot: int) -> Iterator[tuple[Ladder, float]]:
        side, condition = table.sides[slot], table.conditions[slot]
        if condition & EXTREME:
            yield self.extremes.ladder(condition), table.silent_until[slot]
            return
        if condition & WINDOW:
            yield (
                self.windows.open(table.minutes[slot]).ladder(side, is_rise=bool(condition & RISE)),
                table.values[slot],
            )
            return
        if condition & SILENCE:
            yield self.silences, table.minutes[slot]
            return
        level = self.level(table, slot)
        if level is None:
            return
        if side == BELOW:
            yield self.rising, level
        elif side == ABOVE:
            yield self.falling, level
        else:  # armed again by a price that is not equal to the level
            if condition & RISE:
                yield self.falling, nextafter(level, -inf)
            if condition & FALL:
                yield self.rising, nextafter(level, inf)

    def keep_late(self, update: Update) -> None:
        """Keeps a late update for new alerts, unless the update is too old."""
        if update.timestamp >= self.timestamp - RECENT_US:
            self.recent.append(update)

    def reached(self, update: Update) -> list[int]:
        """Returns the slots of the alerts whose level an update reaches, or that fire at a new high or low.

        The update must have been added to `extremes`.
        """
        levels = *self.rising.reached(update.price), *self.falling.reached(update.price)
        changes = self.windows.reached(update.price, update.timestamp)
        return [*levels, *self.extremes.reached(update.timestamp), *changes]

    def add_late(self, update: Update) -> None:
        """Adds a late update to `extremes` and `windows`.

        `extremes` gets only updates of the newest market day. `windows` gets only updates that are at most MAX_DELAY_US
        older than the newest update.
        """
        self.extremes.beaten = NOTHING
        if update.timestamp >= self.day_begins and self.extremes.add(update):
            self.saved = (0, 0)  # the progress has changed, although the newest update has not
        if update.timestamp >= self.timestamp - MAX_DELAY_US:
            self.windows.add(close_of(update))

    def wait_for(self, table: SlotTable, slot: int) -> None:
        """Keeps an alert until the update arrives at which the alert was armed."""
        # If another engine owns the symbol, no update arrives here, and each arming there adds an entry.
        if len(self.later) > 2 * self.count + SPARE_ENTRIES:
            self.later = list({entry for entry in self.later if _is_current(table, *entry)})
            heapify(self.later)
        heappush(self.later, (table.since(slot), slot, table.ids[slot]))

    def pop_arrived(self, table: SlotTable) -> Iterator[int]:
        """Yields the slots of the alerts in `later` whose update has arrived. Removes these alerts from `later`."""
        order, previous = self.order, None
        while self.later and self.later[0][0] <= order:
            entry = heappop(self.later)
            # An alert that was replaced can have two equal entries.
            if entry != previous and _is_current(table, *entry):
                yield entry[1]
            previous = entry

    def refresh(self) -> None:
        """Computes `bottom`, `top`, `low`, `high` and `silence_us`.

        Call this method after a change of the levels or of the market day.
        """
        low, high = self.windows.limits()
        self.bottom = inf if self.later else max(self.falling.next_level, low)
        self.top = min(self.rising.next_level, high)
        self.silence_us = self.silences.next_level * MINUTE_US
        self._set_limits()

    def widen(self, price: float, order: Order) -> None:
        """Extends the day's range to a price outside of the range. The price must reach no level.

        Call this only if no alert of the symbol fires at new highs or lows.
        """
        self.extremes.widen(price, order)
        self._set_limits()

    def _set_limits(self) -> None:
        self.low = max(self.bottom, nextafter(self.extremes.day_low, -inf))
        self.high = min(self.top, nextafter(self.extremes.day_high, inf))


def close_of(update: Update) -> Close:
    """Returns the timestamp, the seq_id and the price of an update."""
    return update.timestamp, update.seq_id, update.price


def _to_columns(prices: PriceRange) -> tuple[float | None, float | None]:
    """Returns the high and the low; two None if the range has no prices."""
    return (prices.high, prices.low) if isfinite(prices.high) else (None, None)


def _is_current(table: SlotTable, since: Order, slot: int, alert_id: int) -> bool:
    return table.ids[slot] == alert_id and table.since(slot) == since
