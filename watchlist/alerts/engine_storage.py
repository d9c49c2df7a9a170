"""Reads alerts for the alert engine, and writes what the engine found out.

Every write compares the versions of the alerts, so that neither a person's change nor a firing by another engine is
overwritten.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from math import isfinite
from typing import Any, NamedTuple, TypeVar

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet

from feeds.errors import TransientError
from feeds.models import DayBar, Ticker, translate_database_errors
from watchlist.alert_kinds import Channel, DeliveryState, Kind, Repeat, Side, State
from watchlist.alert_models import Alert, AlertProgress, Delivery, Firing
from watchlist.alerts.conditions import CREATABLE, MAX_WINDOW_SECONDS, PERCENT_KINDS, VALUELESS_KINDS, WINDOW_KINDS
from watchlist.alerts.records import AlertChange, AlertRecord, FiringEvent, Progress
from watchlist.formatting.moments import to_microseconds
from watchlist.prices.change import reference_price

ROWS_PER_READ = 20_000
KEYS_PER_QUERY = 500
ALERTS_PER_TRANSACTION = 1_000
"""How many alerts one transaction changes at most.

During a transaction no other process can write to SQLite.
"""

FOLLOW_OVERLAP = timedelta(seconds=10)
"""How far before the newest known change the engine looks for changes that it has missed.

A transaction may end some time after its `changed_at`, and the clocks of two machines may differ.
"""

FLAGS = tuple(f"by_{channel}" for channel in Channel)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS = (
    *("pk", "version", "ticker__symbol", "kind", "level", "percent", "window_seconds", "repeat", "cooldown_seconds"),
    *("expires_at", "side", "arming", "since_timestamp", "since_seq_id", "silent_until"),
)
UPDATE = """
UPDATE watchlist_alert SET state = %s, side = %s, arming = %s, since_timestamp = %s, since_seq_id = %s,
silent_until = %s, version = version + 1, changed_at = %s WHERE id = %s
"""


MAX_COUNT = 2**31 - 1
"""The greatest number of seconds, armings or versions that every database and the engine can hold."""

Item = TypeVar("Item")
SkipAlert = Callable[[int, int], None]
"""Is called with the id and the version of an active alert that the engine cannot use."""

FindBlindness = Callable[[FiringEvent, int, int], int | None]
"""Returns for how many microseconds the alert of a firing could not fire between two times; None if unknown."""


class Results(NamedTuple):
    """What the engine found out: changed alerts, firings, and the progress of symbols.

    `evaluated_at` is the time at which the last update was evaluated.
    """

    changes: Sequence[AlertChange]
    firings: Sequence[FiringEvent]
    progress: Sequence[Progress]
    evaluated_at: datetime


class WrittenAlert(NamedTuple):
    """What a firing needs of its alert: the time of creation and the values of FLAGS."""

    created_at: datetime
    flags: Sequence[bool]


class AlertsUnavailable(TransientError):
    """The database does not answer or is locked, or the tables of alerts do not exist yet."""


def translate_errors() -> AbstractContextManager[None]:
    """Turns database errors into AlertsUnavailable."""
    return translate_database_errors(AlertsUnavailable, "alerts")


def read_active(skip: SkipAlert) -> Iterator[list[AlertRecord]]:
    """Yields all active alerts in parts, in the order of their ids. Raises AlertsUnavailable."""
    last = 0
    while True:
        with translate_errors():
            rows = list(_active().filter(pk__gt=last).order_by("pk").values_list(*COLUMNS)[:ROWS_PER_READ])
        if not rows:
            return
        last = rows[-1][0]
        yield _make_records(rows, skip)


def read_alerts(alert_pks: Collection[int], skip: SkipAlert) -> list[AlertRecord]:
    """Returns the active alerts among these ids. Raises AlertsUnavailable."""
    with translate_errors():
        rows = [
            row
            for pks in chunks(alert_pks, KEYS_PER_QUERY)
            for row in _active().filter(pk__in=pks).values_list(*COLUMNS)
        ]
    return _make_records(rows, skip)


def read_versions(changed_since: datetime) -> list[tuple[int, int, str, datetime]]:
    """Returns id, version, state and `changed_at` of all alerts that changed since a time. Raises AlertsUnavailable."""
    with translate_errors():
        rows = Alert.objects.filter(changed_at__gte=changed_since - FOLLOW_OVERLAP).order_by()
        return list(rows.values_list("pk", "version", "state", "changed_at"))


def read_progress() -> list[Progress]:
    """Returns the progress of all symbols. Raises AlertsUnavailable."""
    with translate_errors():
        return [Progress(*row) for row in AlertProgress.objects.values_list(*Progress.__struct_fields__)]


def read_reference(symbol: str, source: str, day: int) -> float | None:
    """Returns the reference price of a symbol on a market day; None if there is neither an earlier close nor a ticker.

    Raises AlertsUnavailable.
    """
    with translate_errors():
        bars = DayBar.objects.filter(tape__symbol=symbol, tape__source=source, day__lt=date.fromordinal(day))
        close = bars.order_by("-day").values_list("close", flat=True).first()
        base_price = Ticker.objects.filter(symbol=symbol).values_list("base_price", flat=True).first()
    return close if base_price is None else reference_price(base_price, close)


def split_results(results: Results) -> Iterator[Results]:
    """Splits results into parts: each holds up to ALERTS_PER_TRANSACTION changed alerts and all their firings.

    The progress follows as a part without alerts. If the results are empty, there is no part.
    """
    firings: dict[int, list[FiringEvent]] = {}
    for firing in results.firings:
        firings.setdefault(firing.alert_id, []).append(firing)
    for part in chunks(results.changes, ALERTS_PER_TRANSACTION):
        of_part = [firing for change in part for firing in firings.get(change.id, ())]
        yield Results(part, of_part, (), results.evaluated_at)
    if results.progress:
        yield Results((), (), results.progress, results.evaluated_at)


def write_results(
    results: Results, now: datetime, find_blindness: FindBlindness = lambda _firing, _begin, _end: None
) -> set[int]:
    """Writes changed alerts, firings, deliveries and progress in one transaction.

    Returns the ids of alerts that were changed or deleted after the engine had read them. Their changes and firings are
    not written. Raises AlertsUnavailable.
    """
    with translate_errors():
        try:
            return _write(results, now, find_blindness)
        except IntegrityError:
            # A firing exists already: an older state of the alerts was restored, but not of the firings.
            alerts = {firing.alert_id for firing in results.firings}
            known = set(Firing.objects.filter(alert__in=alerts).values_list("alert_id", "arming"))
            new = [firing for firing in results.firings if (firing.alert_id, firing.arming) not in known]
            return _write(results._replace(firings=new), now, find_blindness)


@transaction.atomic
def _write(results: Results, now: datetime, find_blindness: FindBlindness) -> set[int]:
    written: dict[int, WrittenAlert] = {}
    for part in chunks(sorted(results.changes, key=lambda change: change.id), KEYS_PER_QUERY):
        written |= _write_changes(part, now)
    rows = []
    for event in results.firings:
        if event.alert_id in written:
            armed_at = max(event.armed_at, to_microseconds(written[event.alert_id].created_at))
            blind_us = find_blindness(event, armed_at, to_microseconds(results.evaluated_at))
            rows.append(_make_firing(event, blind_us, results.evaluated_at, now))
    Firing.objects.bulk_create(rows)
    Delivery.objects.bulk_create(
        _make_delivery(firing, channel, now)
        for firing in rows
        for channel, wanted in zip(Channel, written[firing.alert_id].flags, strict=True)
        if wanted
    )
    _write_progress(results.progress)
    return {change.id for change in results.changes if change.id not in written}


def _make_delivery(firing: Firing, channel: Channel, now: datetime) -> Delivery:
    delivery = Delivery(firing=firing, channel=channel.value, next_attempt_at=now)
    if channel is Channel.PAGE:  # pages read the firings themselves, and the history keeps them
        delivery.state, delivery.done_at = DeliveryState.DONE.value, now
    return delivery


def _write_changes(changes: Sequence[AlertChange], now: datetime) -> Mapping[int, WrittenAlert]:
    """Writes changed alerts. Returns a dict from id to alert. Alerts that were not written are missing."""
    locked = Alert.objects.select_for_update().filter(pk__in=[change.id for change in changes]).order_by("pk")
    found = {row[0]: row[1:] for row in locked.values_list("pk", "version", "created_at", *FLAGS)}
    valid = [change for change in changes if found.get(change.id, (0,))[0] == change.version]
    changed_at = connection.ops.adapt_datetimefield_value(now)
    with connection.cursor() as cursor:
        cursor.executemany(UPDATE, [_make_update(change, changed_at) for change in valid])
    return {change.id: WrittenAlert(found[change.id][1], found[change.id][2:]) for change in valid}


def _make_update(change: AlertChange, changed_at: Any) -> tuple[Any, ...]:
    state = change.state.value, change.side.value, change.arming, *change.since, change.silent_until
    return *state, changed_at, change.id


def _make_firing(event: FiringEvent, blind_us: int | None, evaluated_at: datetime, now: datetime) -> Firing:
    received = EPOCH + timedelta(milliseconds=event.received_ms) if event.received_ms else None
    return Firing(
        alert_id=event.alert_id,
        arming=event.arming,
        side=event.side.value,
        level=event.level,
        reference=event.reference,
        price=event.price,
        timestamp=event.timestamp,
        seq_id=event.seq_id,
        source=event.source,
        late=event.late,
        blind_us=blind_us,
        received_at=received,
        evaluated_at=evaluated_at,
        recorded_at=now,
    )


def _write_progress(progress: Sequence[Progress]) -> None:
    """Writes the progress of symbols. Skips a symbol for which another engine has written newer progress."""
    names = Progress.__struct_fields__
    known = AlertProgress.objects.select_for_update().order_by("symbol") if progress else AlertProgress.objects.none()
    orders = {row[0]: row[1:] for row in known.values_list("symbol", "timestamp", "seq_id")}
    rows = [
        AlertProgress(**{name: getattr(each, name) for name in names})
        for each in progress
        if orders.get(each.symbol, (0, 0)) <= (each.timestamp, each.seq_id)
    ]
    AlertProgress.objects.bulk_create(rows, update_conflicts=True, unique_fields=["symbol"], update_fields=names[1:])


def chunks(items: Iterable[Item], size: int) -> Iterator[Sequence[Item]]:
    """Splits items into sequences of at most `size` items."""
    sequence = list(items)
    return (sequence[at : at + size] for at in range(0, len(sequence), size))


def _active() -> QuerySet[Alert]:
    return Alert.objects.filter(state=State.ACTIVE.value, kind__in=[kind.value for kind in CREATABLE])


def _make_records(rows: Iterable[tuple[Any, ...]], skip: SkipAlert) -> list[AlertRecord]:
    records = []
    for row in rows:
        record = _make_record(row)
        if record is None:
            skip(row[0], row[1])
        else:
            records.append(record)
    return records


def _make_record(row: tuple[Any, ...]) -> AlertRecord | None:
    """Returns the alert in a row of COLUMNS; None if the engine cannot use one of the values."""
    pk, version, symbol, kind, level, percent, window, *rest = row
    repeat, cooldown, expires_at, side, arming, *since, silent_until = rest
    expires = 0 if expires_at is None else (expires_at - EPOCH) // timedelta(microseconds=1)
    value = 0.0 if kind in VALUELESS_KINDS else percent if kind in PERCENT_KINDS else level
    if value is None or not isfinite(value) or repeat not in _REPEATS or side not in _SIDES:
        return None
    if not (0 <= cooldown <= MAX_COUNT and 0 <= arming < MAX_COUNT and 0 < version < MAX_COUNT):
        return None
    if kind in WINDOW_KINDS and not (window and window % 60 == 0 and window <= MAX_WINDOW_SECONDS):
        return None
    return AlertRecord(
        *(pk, version, symbol, _KINDS[kind], value, _REPEATS[repeat], cooldown, expires),
        *(_SIDES[side], arming, (since[0], since[1]), silent_until, window or 0),
    )


_KINDS = {kind.value: kind for kind in Kind}
_REPEATS = {repeat.value: repeat for repeat in Repeat}
_SIDES = {side.value: side for side in Side}
