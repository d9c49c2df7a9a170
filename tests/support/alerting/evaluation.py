"""Makes alerts and updates, runs evaluations against a database in memory, and computes the expected firings."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from feeds.source_names import SIMULATED
from feeds.wire import Update
from tests.support.recording.bars import DAY_US, UTC_DAYS, UTC_EVERYWHERE
from watchlist.alert_kinds import Kind, Repeat, Side, State
from watchlist.alerts.evaluator import Evaluator
from watchlist.alerts.records import AlertRecord, Close, FiringEvent, Progress
from watchlist.prices.day import PriceRange

NOON = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()) * 1_000_000

NONE: Mapping[tuple[str, int], float] = {}
NO_RANGES: Mapping[int, PriceRange] = {}

Fired = tuple[int, int, int]
"""A firing: the id of the alert, and the order of the update."""


def update_at(price: float, second: float, seq_id: int | None = None, symbol: str = "AAPL") -> Update:
    """Returns an update `second` seconds after NOON. The default of `seq_id` grows with the time."""
    timestamp = NOON + int(second * 1_000_000)
    return Update(symbol, price, timestamp, seq_id if seq_id is not None else 10**9 + int(second * 1000))


def alert(kind: Kind = Kind.UP, value: float = 100.0, **fields: object) -> AlertRecord:
    """Returns alert 1 on AAPL, armed below its level long ago. `fields` are other fields of the record."""
    defaults = {"id": 1, "version": 1, "symbol": "AAPL", "side": Side.BELOW, "arming": 1}
    return AlertRecord(kind=kind, value=value, **(defaults | fields))


class MemoryDatabase:
    """Alerts, firings and progress as the database would hold them.

    `write` writes what an evaluation found out. `restart` returns a new evaluation that continues from the last write.
    `references` holds reference prices by source and market day, and `asked` those that were looked up. `ranges` holds
    the ranges of market days.
    """

    def __init__(
        self,
        records: Iterable[AlertRecord],
        references: Mapping[tuple[str, int], float] = NONE,
        ranges: Mapping[int, PriceRange] = NO_RANGES,
    ) -> None:
        self.references = dict(references)
        self.ranges = ranges
        self.recorded: list[Update] = []
        """The updates whose bars are recorded."""
        self.asked: list[tuple[str, str, int]] = []
        self.records = {record.id: record for record in records}
        self.states = dict.fromkeys(self.records, State.ACTIVE)
        self.firings: list[FiringEvent] = []
        self.progress: dict[str, Progress] = {}

    def write(self, evaluator: Evaluator) -> None:
        changes, firings = evaluator.take_changes()
        for change in changes:
            record = self.records[change.id]
            assert record.version == change.version
            self.states[change.id] = change.state
            values = {name: getattr(record, name) for name in AlertRecord.__struct_fields__}
            values |= {"version": record.version + 1, "side": change.side, "arming": change.arming}
            values |= {"since": change.since, "silent_until": change.silent_until}
            self.records[change.id] = AlertRecord(**values)
        self.firings += firings
        self.progress |= {each.symbol: each for each in evaluator.take_progress()}

    def record(self, update: Update) -> None:
        """Records an update, unless it is too late for the windows of alerts."""
        newest = max((each.timestamp for each in self.recorded if each.symbol == update.symbol), default=0)
        if update.timestamp >= newest - 10_000_000:
            self.recorded.append(update)

    def restart(self) -> Evaluator:
        evaluator = Evaluator(UTC_EVERYWHERE, self.find_reference, self.find_range, self.find_closes)
        for progress in self.progress.values():
            evaluator.restore(progress)
        for record in self.records.values():
            if self.states[record.id] is State.ACTIVE:
                evaluator.put(record)
        return evaluator

    def find_reference(self, symbol: str, source: str, day: int) -> float | None:
        self.asked.append((symbol, source, day))
        return self.references.get((source, day))

    def find_range(self, symbol: str, source: str, first: int, last: int) -> PriceRange | None:
        days = [self.ranges[day] for day in self.ranges if first <= day <= last]
        return PriceRange(min(day.low for day in days), max(day.high for day in days)) if days else None

    def find_closes(self, symbol: str, source: str, until: int) -> list[Close]:
        return [(*update.order, update.price) for update in self.recorded if update.symbol == symbol]

    @property
    def fired(self) -> list[Fired]:
        return [(each.alert_id, each.timestamp, each.seq_id) for each in self.firings]


def run(
    records: Iterable[AlertRecord],
    updates: Iterable[Update],
    references: Mapping[tuple[str, int], float] = NONE,
    ranges: Mapping[int, PriceRange] = NO_RANGES,
) -> MemoryDatabase:
    """Evaluates the updates for the alerts. Returns the database afterwards."""
    database = MemoryDatabase(records, references, ranges)
    evaluator = database.restart()
    for update in updates:
        evaluator.apply(update, SIMULATED)
    database.write(evaluator)
    return database


def expected_firings(
    record: AlertRecord,
    updates: Sequence[Update],
    level_at: Callable[[Sequence[Update], int], float | None] | None = None,
) -> list[Fired]:
    """Computes the firings of a level alert in the plainest way. `updates` are in the order of the topic.

    `level_at` returns the level for the update with a number; the default is the level of the alert.
    """
    fired, side, since, silent_until, newest = [], record.side, record.since, record.silent_until, (0, 0)
    for number, update in enumerate(updates):
        level = record.value if level_at is None else level_at(updates, number)
        is_repeated, is_late = update.order == newest, update.order < newest
        newest = max(newest, update.order)
        if is_repeated or update.order <= since or level is None:
            continue
        if side * (update.price - level) <= 0 and side:
            if record.expires and update.timestamp >= record.expires:
                return fired
            if update.timestamp >= silent_until:
                fired.append((record.id, *update.order))
                silent_until = next_time(record, update)
                side, since = Side.NONE, newest
                if record.repeat is Repeat.ONCE:
                    return fired
            elif not is_late:
                side, since = Side.NONE, newest
        if not is_late and not side:
            side = armed_side(record.kind, record.value, level, update.price)
            since = newest if side else since
    return fired


def expected_percent_firings(
    record: AlertRecord, updates: Sequence[Update], references: Mapping[int, float]
) -> list[Fired]:
    """Computes the firings of a percentage in the plainest way.

    `updates` are newer from one to the next. `references` is a dict from day to the reference price that is looked up
    if the day before has no update. Days are counted from 1970.
    """
    fired, side, silent_until, before = [], record.side, record.silent_until, None
    for update in updates:
        day = update.timestamp // DAY_US
        if before is None or before.timestamp // DAY_US != day:
            follows = before is not None and before.timestamp // DAY_US == day - 1
            reference = before.price if follows else references[day]
            level, moves = round(reference * (1 + record.value / 100), 9), before is not None
        is_reached = bool(side) and side * (update.price - level) <= 0
        if is_reached and not moves and update.timestamp >= silent_until:
            fired.append((record.id, *update.order))
            silent_until = next_time(record, update)
            if record.repeat is Repeat.ONCE:
                return fired
        if is_reached or not side:
            side = armed_at(level, record.value, update.price)
        before, moves = update, False
    return fired


def expected_extreme_firings(
    record: AlertRecord, updates: Sequence[Update], ranges: Mapping[int, PriceRange] = NO_RANGES
) -> list[Fired]:
    """Computes the firings of an alert on new highs or lows in the plainest way. `ranges` are those of saved days."""
    fired, since, silent_until, newest = [], record.since, record.silent_until, (0, 0)
    seen: list[tuple[int, float]] = []
    sign = 1 if record.kind in (Kind.DAY_HIGH, Kind.YEAR_HIGH) else -1
    for update in updates:
        is_repeated, newest = update.order == newest, max(newest, update.order)
        day = UTC_DAYS.day_at(update.timestamp)
        if is_repeated or day < UTC_DAYS.day_at(newest[0]):
            continue
        known = [sign * price for of_day, price in seen if of_day == day]
        if record.kind in (Kind.YEAR_HIGH, Kind.YEAR_LOW):
            yesterday = max((of_day for of_day, _ in seen if of_day < day), default=0)
            known += [sign * price for of_day, price in seen if of_day == yesterday]
            saved = [ranges[each] for each in ranges if day - 364 <= each < day]
            known += [sign * (each.high if sign > 0 else each.low) for each in saved]
        seen.append((day, update.price))
        if not known or sign * update.price <= max(known) or update.order <= since or update.timestamp < silent_until:
            continue
        if record.expires and update.timestamp >= record.expires:
            return fired
        fired.append((record.id, *update.order))
        since, silent_until = newest, next_time(record, update)
        if record.repeat is Repeat.ONCE:
            return fired
    return fired


def armed_at(level: float, percent: float, price: float) -> Side:
    """Returns the side on which a price arms a percentage with this level."""
    if percent > 0:
        return Side.BELOW if price < level else Side.NONE
    return Side.ABOVE if price > level else Side.NONE


def armed_side(kind: Kind, value: float, level: float, price: float) -> Side:
    """Returns the side on which a price arms an alert with this level."""
    rises = kind in (Kind.UP, Kind.EITHER) or (kind is Kind.WINDOW_PERCENT and value > 0)
    falls = kind in (Kind.DOWN, Kind.EITHER) or (kind is Kind.WINDOW_PERCENT and value < 0)
    if price < level and rises:
        return Side.BELOW
    return Side.ABOVE if price > level and falls else Side.NONE


def window_level(record: AlertRecord, updates: Sequence[Update], number: int) -> float | None:
    """Computes the level of a change within a window, for the update with this number, in the plainest way."""
    update, newest, known = updates[number], 0, []
    for each in updates[: number + 1]:
        newest = max(newest, each.timestamp)
        if each.timestamp >= newest - 10_000_000:
            known.append(each)
    bar_us = 1_000_000 if record.window_seconds < 600 else 60_000_000
    begin = update.timestamp // bar_us * bar_us - record.window_seconds * 1_000_000
    before = [(each.order, each.price) for each in known if each.timestamp < begin]
    if not before or update.timestamp < newest - 10_000_000:
        return None
    return round(max(before)[1] * (1 + record.value / 100), 9)


def next_time(record: AlertRecord, update: Update) -> int:
    """Returns the time before which an alert that has fired at an update does not fire again."""
    if record.repeat is Repeat.DAILY:
        return (update.timestamp // DAY_US + 1) * DAY_US
    return update.timestamp + record.cooldown_seconds * 1_000_000
