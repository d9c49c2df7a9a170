"""Changes the states of alerts by updates, and collects firings and changed states. Pure.

An alert that is armed below its level fires at the first update at or above the level, and is then not armed. The first
update strictly below the level arms the alert again. An alert that is armed above its level works the other way round.
The previous price plays no part, so neither a gap nor a restart hides a firing.

An alert on new highs or lows is always armed. It fires at each new high or low outside of its cooldown.

An update is late if a newer update of its symbol has arrived before. A late update can fire an alert, but arms none.
The caller passes only updates that are newer than the arming of the alert.
"""

from collections.abc import Iterable
from typing import Protocol

from feeds.wire import Update
from watchlist.alert_kinds import Repeat, Side, State
from watchlist.alerts.records import AlertChange, FiringEvent, Order
from watchlist.alerts.slot_table import ABOVE, BELOW, EXTREME, FALL, NONE, PERCENT, RISE, SILENCE, SlotTable
from watchlist.alerts.watch import MINUTE_US, Days, Watch

SECOND_US = 1_000_000


class Calendar(Protocol):
    """The market days of all sources. An example is `feeds.history.market_days.SourceDays`."""

    def of(self, source: str) -> Days: ...


class AlertStates:
    """The states of all alerts, and the changes and firings since the last `take`.

    A slot is the index of an alert in the arrays of `table`. `firings` are in the order in which they happened.
    """

    def __init__(self, calendar: Calendar) -> None:
        self.table = SlotTable()
        self.firings: list[FiringEvent] = []
        self._calendar = calendar
        self._changed: dict[int, None] = {}
        self._finished: list[AlertChange] = []

    def step(self, watch: Watch, slot: int, update: Update, newest: Order, received_ms: int, *, late: bool) -> State:
        """Changes the state of one alert by an update that is newer than the alert's arming.

        `newest` is the order of the newest update so far. Returns the new state. If the state is not ACTIVE, the caller
        must call `finish`.
        """
        table, price = self.table, update.price
        if table.conditions[slot] & EXTREME:
            return self._step_extreme(watch, slot, update, newest, received_ms, late=late)
        if table.conditions[slot] & SILENCE:
            return State.ACTIVE
        level = watch.level(table, slot, update.timestamp)
        if level is None or (table.conditions[slot] & PERCENT and update.timestamp < watch.day_begins):
            return State.ACTIVE  # the level of that day is unknown
        if is_reached(table.sides[slot], level, price):
            if 0 < table.expires[slot] <= update.timestamp:
                return State.EXPIRED
            is_silent = update.timestamp < table.silent_until[slot]
            if late and is_silent:
                return State.ACTIVE
            if not is_silent:
                self._fire(watch, slot, level, update, received_ms, late=late)
            self._set_side(slot, NONE, newest)
            if not is_silent and table.repeat(slot) is Repeat.ONCE:
                return State.FIRED
        if not late:
            self._rearm(slot, level, price, newest)
        return State.ACTIVE

    def _step_extreme(
        self, watch: Watch, slot: int, update: Update, newest: Order, received_ms: int, *, late: bool
    ) -> State:
        """Fires an alert on new highs or lows if the update is such a high or low. Arms the alert again at once."""
        table = self.table
        level = watch.extremes.beaten.get(table.conditions[slot])
        if level is None:
            return State.ACTIVE
        if 0 < table.expires[slot] <= update.timestamp:
            return State.EXPIRED
        if update.timestamp < table.silent_until[slot]:
            return State.ACTIVE
        self._fire(watch, slot, level, update, received_ms, late=late)
        if table.repeat(slot) is Repeat.ONCE:
            self._set_side(slot, NONE, newest)
            return State.FIRED
        self._set_side(slot, BELOW if table.conditions[slot] & RISE else ABOVE, newest)
        return State.ACTIVE

    def fire_silence(self, watch: Watch, slot: int) -> State:
        """Fires an alert on missing prices if `is_due` is true. Returns the new state.

        The firing contains the newest update of the symbol.
        """
        table = self.table
        if not self.is_due(watch, slot):
            return State.ACTIVE
        if table.sides[slot] == NONE:
            self._set_side(slot, BELOW, watch.order)
        last = Update(watch.symbol, watch.price, watch.timestamp, watch.seq_id)
        self._fire(watch, slot, None, last, 0, late=False)
        self._set_side(slot, NONE, watch.order)
        return State.FIRED if table.repeat(slot) is Repeat.ONCE else State.ACTIVE

    def is_due(self, watch: Watch, slot: int) -> bool:
        """Returns whether an alert on missing prices may fire when its minutes without an update are over.

        The caller must find out whether the minutes are over. Returns False for other alerts.
        """
        table = self.table
        is_armed = table.sides[slot] != NONE or table.since(slot) < watch.order
        ends = watch.timestamp + table.minutes[slot] * MINUTE_US
        is_over = 0 < table.expires[slot] <= ends
        is_silent = watch.timestamp < table.silent_until[slot]
        return bool(table.conditions[slot] & SILENCE) and is_armed and not is_over and not is_silent

    def settle_all(self, watch: Watch, slots: Iterable[int], update: Update) -> None:
        """Calls `settle` for each alert that was armed before `update` and has a level."""
        for slot in slots:
            level = watch.level(self.table, slot)
            if level is not None and self.table.since(slot) < update.order:
                self.settle(slot, level, update.price, update.order)

    def settle(self, slot: int, level: float, price: float, order: Order) -> None:
        """Arms or disarms an alert after its level has moved. The alert does not fire.

        The alert is armed on the side of its level on which `price` is. It is disarmed if it cannot fire from there.
        """
        if is_reached(self.table.sides[slot], level, price):
            self._set_side(slot, NONE, order)
        self._rearm(slot, level, price, order)

    def _rearm(self, slot: int, level: float, price: float, order: Order) -> None:
        """Arms an alert that is not armed, if the price is on a side from which the alert can fire."""
        condition = self.table.conditions[slot]
        if self.table.sides[slot] != NONE:
            return
        if price < level and condition & RISE:
            self._set_side(slot, BELOW, order)
        elif price > level and condition & FALL:
            self._set_side(slot, ABOVE, order)

    def _set_side(self, slot: int, side: Side, order: Order) -> None:
        self.table.set_side(slot, side, order)
        self._changed[slot] = None

    def _fire(
        self, watch: Watch, slot: int, level: float | None, update: Update, received_ms: int, *, late: bool
    ) -> None:
        table, timestamp = self.table, update.timestamp
        event = FiringEvent(
            alert_id=table.ids[slot],
            arming=table.armings[slot],
            side=Side(table.sides[slot]),
            level=level,
            reference=watch.reference_of(table, slot, timestamp),
            price=update.price,
            timestamp=timestamp,
            seq_id=update.seq_id,
            source=watch.source,
            late=late,
            received_ms=received_ms,
            symbol=watch.symbol,
            armed_at=table.since_timestamps[slot],
        )
        self.firings.append(event)
        if table.repeat(slot) is Repeat.DAILY:
            days = self._calendar.of(watch.source)
            table.silent_until[slot] = days.begin(days.day_at(timestamp) + 1)
        elif table.repeat(slot) is Repeat.EACH:
            table.silent_until[slot] = timestamp + table.cooldowns[slot] * SECOND_US

    def finish(self, slot: int, state: State) -> None:
        """Removes an alert that cannot fire any more, and notes its last state."""
        self._finished.append(self.table.change(slot, state))
        self.remove(slot)

    def remove(self, slot: int) -> None:
        """Removes an alert. Its change since the last `take` is lost."""
        self._changed.pop(slot, None)
        self.table.remove(slot)

    def take(self) -> tuple[list[AlertChange], list[FiringEvent]]:
        """Returns all changes and firings since the last call. The caller must write them in one transaction."""
        changes = [*self._finished, *map(self.table.change, self._changed)]
        for slot in self._changed:
            self.table.versions[slot] += 1
        firings, self.firings = self.firings, []
        self._finished, self._changed = [], {}
        return changes, firings


def is_reached(side: int, level: float, price: float) -> bool:
    """Returns whether a price is at or beyond a level, seen from the side on which the alert is armed."""
    return (side == BELOW and price >= level) or (side == ABOVE and price <= level)
