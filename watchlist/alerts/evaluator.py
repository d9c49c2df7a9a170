"""Evaluates the updates of all symbols against all alerts. Pure.

Each alert is placed at the levels at which its state changes next. An update that reaches no level costs two
comparisons. Updates must come in the order of the topic. A repeated part of the topic changes nothing, because an alert
ignores updates that are not newer than its arming.
"""

from collections.abc import Callable, Mapping

from feeds.source_names import SIMULATED
from feeds.wire import Update
from watchlist.alert_kinds import State
from watchlist.alerts.alert_states import AlertStates, Calendar
from watchlist.alerts.id_slots import NOT_FOUND
from watchlist.alerts.kinds.past_prices import FindCloses, FindRange, PastPrices
from watchlist.alerts.ladder import Ladder
from watchlist.alerts.records import AlertChange, AlertRecord, FiringEvent, Order, Progress
from watchlist.alerts.slot_table import DAY_PERCENT, PERCENT
from watchlist.alerts.watch import MINUTE_US, RECENT_US, Watch

FindReference = Callable[[str, str, int], float | None]
"""Looks up the reference price of a symbol, source and market day. Returns None if there is none."""


class Evaluator:
    """All active alerts and all symbols.

    The functions that find prices may raise an error. The call of `apply`, `put` or `restore` then has no effect, and
    may be repeated.
    """

    def __init__(
        self,
        calendar: Calendar,
        find_reference: FindReference,
        find_range: FindRange = lambda *_: None,
        find_closes: FindCloses = lambda *_: (),
    ) -> None:
        self._calendar = calendar
        self._find_reference = find_reference
        self._past = PastPrices(find_range, find_closes)
        self._states = AlertStates(calendar)
        self._table = self._states.table
        self._watches: dict[str, Watch] = {}
        self._numbered: list[Watch] = []
        self._expiries = Ladder(rising=True)

    def __len__(self) -> int:
        return len(self._table)

    @property
    def size(self) -> int:
        """The size in bytes of all arrays that hold an item for each alert."""
        ladders = [ladder for watch in self._numbered for ladder in watch.ladders]
        return self._table.size + sum(12 * len(ladder) for ladder in [*ladders, self._expiries])

    def apply(self, update: Update, source: str, received_ms: int = 0) -> None:
        """Evaluates an update of the topic. `received_ms` is the time at which Kafka got it, in unix milliseconds."""
        watch = self._watches.get(update.symbol) or self._watch(update.symbol)
        timestamp, price = update.timestamp, update.price
        if timestamp < watch.timestamp or (timestamp == watch.timestamp and update.seq_id <= watch.seq_id):
            self._apply_late(watch, update, received_ms)
            return
        if timestamp - watch.timestamp >= watch.silence_us and watch.source == SIMULATED:
            self._fire_missing(watch, timestamp - watch.timestamp)
        if timestamp >= watch.turns_at or source != watch.source:
            self._turn(watch, update, source)
        watch.timestamp, watch.seq_id, watch.price = timestamp, update.seq_id, price
        watch.recent.append(update)
        if watch.low < price < watch.high:
            return
        if watch.bottom < price < watch.top and not watch.extremes.has_alerts:
            watch.widen(price, (timestamp, update.seq_id))
            return
        self._apply_reached(watch, update, received_ms)

    def _turn(self, watch: Watch, update: Update, source: str) -> None:
        """Begins the bar of an update, and its market day if the day or the source is new."""
        is_same = source == watch.source
        if update.timestamp >= watch.day_ends or not is_same:
            self._begin_day(watch, update, source)
        if is_same and watch.timestamp:
            watch.windows.add((watch.timestamp, watch.seq_id, watch.price))
        watch.turn(update.timestamp)

    def _watch(self, symbol: str) -> Watch:
        if symbol not in self._watches:
            self._numbered.append(self._watches.setdefault(symbol, Watch(symbol, len(self._numbered))))
        return self._watches[symbol]

    def _apply_reached(self, watch: Watch, update: Update, received_ms: int) -> None:
        """Evaluates the newest update of a symbol for alerts whose levels it reaches or that waited for it."""
        watch.extremes.add(update)
        slots = watch.reached(update)
        for slot in slots:
            watch.unplace(self._table, slot)
        for slot in [*slots, *watch.pop_arrived(self._table)]:
            is_known = self._table.since(slot) == watch.order
            if is_known or self._step(watch, slot, update, watch.order, received_ms, late=False):
                watch.place(self._table, slot)
        watch.refresh()

    def _apply_late(self, watch: Watch, update: Update, received_ms: int) -> None:
        """Evaluates an update that is not newer than the newest one of its symbol."""
        order = update.order
        if order == watch.order:
            return
        watch.keep_late(update)
        watch.add_late(update)
        for slot in watch.reached(update):
            if self._table.sides[slot] and self._table.since(slot) < order:
                watch.unplace(self._table, slot)
                if self._step(watch, slot, update, watch.order, received_ms, late=True):
                    watch.place(self._table, slot)
        watch.refresh()

    def _step(self, watch: Watch, slot: int, update: Update, newest: Order, received_ms: int, *, late: bool) -> bool:
        """Evaluates an update for one alert, which must not be placed. Returns False if the alert is finished."""
        state = self._states.step(watch, slot, update, newest, received_ms, late=late)
        if state is not State.ACTIVE:
            self._finish(watch, slot, state)
        return state is State.ACTIVE

    def put(self, record: AlertRecord) -> None:
        """Adds or replaces an alert. Then evaluates the recent updates that are newer than its last arming."""
        watch = self._watch(record.symbol)
        if record.kind is DAY_PERCENT and watch.timestamp and watch.reference is None:
            self._look_up_reference(watch)
        self._past.prepare(watch, record)
        self.remove(record.id)
        slot = self._table.add(record, watch.number)
        watch.count += 1
        if record.expires:
            self._expiries.add(record.expires, slot)
        if self._table.conditions[slot] & PERCENT:
            watch.percent_slots.append(slot)
        if record.since > watch.order:
            watch.wait_for(self._table, slot)
        elif self._catch_up(watch, slot):
            watch.place(self._table, slot)
        watch.refresh()

    def _catch_up(self, watch: Watch, slot: int) -> bool:
        """Evaluates the kept updates of a symbol for one alert. Returns False if the alert is finished."""
        newest = (0, 0)
        for update in watch.recent:
            order = update.order
            is_late, newest = order < newest, max(order, newest)
            watch.extremes.recall(update)
            if order > self._table.since(slot) and not self._step(watch, slot, update, newest, 0, late=is_late):
                return False
        return True

    def remove(self, alert_id: int) -> None:
        """Removes an alert if it exists. Its change since the last `take_changes` is lost."""
        slot = self._table.find(alert_id)
        if slot != NOT_FOUND:
            watch = self._take(slot)
            self._unregister(watch, slot)
            self._states.remove(slot)
            watch.refresh()

    def known_version(self, alert_id: int) -> int:
        """Returns the version of an alert; 0 if the alert is unknown."""
        slot = self._table.find(alert_id)
        return 0 if slot == NOT_FOUND else self._table.versions[slot]

    def expire(self, until: int, *, everywhere: bool = True) -> None:
        """Finishes the alerts that expire at or before `until`.

        `everywhere` says whether all updates up to `until` were evaluated. An alert that can still fire stays. Such an
        alert is finished when its symbol has an update that is at least RECENT_US newer than the expiry.
        """
        for slot in self._expiries.reached(until):
            watch = self._numbered[self._table.watches[slot]]
            is_done = everywhere and not (watch.source == SIMULATED and self._states.is_due(watch, slot))
            if is_done or watch.timestamp >= self._table.expires[slot] + RECENT_US:
                self._take(slot)
                self._finish(watch, slot, State.EXPIRED)
                watch.refresh()

    def find_silent(self) -> dict[str, str]:
        """Returns the symbols with alerts on missing prices, as a dict from symbol to source."""
        return {watch.symbol: watch.source for watch in self._numbered if len(watch.silences) and watch.timestamp}

    def fire_silent(self, now: int, seen_since: Mapping[str, int]) -> None:
        """Fires alerts on symbols whose newest update is too old at the time `now`.

        `seen_since` maps each symbol to the unix microseconds since when its updates could reach this engine.
        """
        for symbol, since in seen_since.items():
            watch = self._watches[symbol]
            self._fire_missing(watch, now - max(watch.timestamp, since))

    def _fire_missing(self, watch: Watch, silence_us: int) -> None:
        """Fires the alerts on missing prices of a symbol that has had no update for `silence_us`."""
        for slot in watch.silences.reached(silence_us / MINUTE_US):
            if self._states.fire_silence(watch, slot) is State.FIRED:
                self._take(slot)
                self._finish(watch, slot, State.FIRED)

    def _take(self, slot: int) -> Watch:
        """Removes the levels of an alert. Returns the watch of the alert."""
        watch = self._numbered[self._table.watches[slot]]
        if self._table.since(slot) <= watch.order:  # the levels of other alerts are not in the watch yet
            watch.unplace(self._table, slot)
        return watch

    def _finish(self, watch: Watch, slot: int, state: State) -> None:
        self._unregister(watch, slot)
        self._states.finish(slot, state)

    def _unregister(self, watch: Watch, slot: int) -> None:
        if self._table.expires[slot]:
            self._expiries.remove(self._table.expires[slot], slot)
        if self._table.conditions[slot] & PERCENT:
            watch.percent_slots.remove(slot)
        watch.count -= 1

    def _begin_day(self, watch: Watch, update: Update, source: str) -> None:
        """Begins the market day of an update. Alerts with a percentage get new levels.

        If the last price is from the day before, it becomes the reference price. Otherwise one is looked up.
        """
        days = self._calendar.of(source)
        day = days.day_at(update.timestamp)
        is_next = source == watch.source and day == watch.day + 1
        reference = watch.price if is_next else self._find_reference(watch.symbol, source, day)
        ranges = self._past.find(watch, source, day)
        closes = self._past.closes(watch, source, update.timestamp) if source != watch.source else None
        slots = self._unplace_percents(watch)
        watch.source, watch.reference = source, reference
        watch.set_day(day, days)
        watch.extremes.begin_day(*ranges)
        if closes is not None:
            watch.windows.replace(closes)
        if watch.timestamp:
            self._states.settle_all(watch, slots, update)
        for slot in slots:
            watch.place(self._table, slot)
        watch.refresh()

    def _look_up_reference(self, watch: Watch) -> None:
        """Sets the reference price of a symbol that had none. Its alerts with a percentage get their first levels."""
        reference = self._find_reference(watch.symbol, watch.source, watch.day)
        slots = self._unplace_percents(watch)
        watch.reference = reference
        for slot in slots:
            watch.place(self._table, slot)

    def _unplace_percents(self, watch: Watch) -> list[int]:
        slots = [slot for slot in watch.percent_slots if self._table.since(slot) <= watch.order]
        for slot in slots:
            watch.unplace(self._table, slot)
        return slots

    def restore(self, progress: Progress) -> None:
        """Continues a symbol after the newest update that this or another process has evaluated.

        Does nothing if this evaluation is as far as `progress`. Call `take_changes` before, and `put` for each changed
        alert afterwards.
        """
        watch = self._watch(progress.symbol)
        if (progress.timestamp, progress.seq_id) <= watch.order:
            return
        ranges = self._past.restore(watch, progress)
        closes = self._past.closes(watch, progress.source, progress.timestamp)
        if progress.source != watch.source:
            watch.windows.replace(())
        slots = self._unplace_percents(watch)
        watch.restore(progress, self._calendar.of(progress.source), *ranges)
        for close in closes:
            watch.windows.add(close)
        for slot in [*slots, *watch.pop_arrived(self._table)]:
            watch.place(self._table, slot)
        watch.refresh()

    def take_progress(self) -> list[Progress]:
        """Returns the progress of all symbols with updates since the last call. Drops old updates."""
        watches = [watch for watch in self._numbered if watch.order != watch.saved]
        for watch in watches:
            watch.saved = watch.order
            watch.forget_old()
        return [watch.progress for watch in watches]

    def take_changes(self) -> tuple[list[AlertChange], list[FiringEvent]]:
        """Returns all changed states and firings since the last call. The caller must write them in one transaction."""
        return self._states.take()

    @property
    def has_firings(self) -> bool:
        """Whether an alert has fired since the last `take_changes`."""
        return bool(self._states.firings)

    def count_by_source(self) -> dict[str, int]:
        """Returns a dict from source to number of alerts. The empty name stands for symbols without an update."""
        counts: dict[str, int] = {}
        for watch in self._numbered:
            counts[watch.source] = counts.get(watch.source, 0) + watch.count
        return counts
