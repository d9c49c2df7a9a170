"""Reads deliveries that are due from the database, and writes how their attempts ended.

Each receiver, such as an e-mail address, has a lane: a row that a sender leases before it sends to the receiver. So two
senders never send to one receiver at the same time. If a sender is killed, its leases end after some time. Another
sender then sends what was not finished.
"""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import cache
from operator import itemgetter
from typing import NamedTuple
from zoneinfo import available_timezones

from django.contrib.auth.models import User
from django.db.models import Min, QuerySet

from feeds.errors import TransientError
from feeds.models import translate_database_errors
from watchlist.alert_kinds import Channel, DeliveryState
from watchlist.alert_models import Delivery
from watchlist.alerts.delivery.turns import DueFiring, Receiver, Turn
from watchlist.delivery_models import DeliveryLane, DeliveryTarget
from watchlist.models import Preferences

CHANNELS = (Channel.EMAIL, Channel.WEBHOOK, Channel.APPRISE)
"""The channels that the sender serves. Pages show firings by themselves."""

MAX_FIRINGS: Mapping[Channel, int] = {Channel.EMAIL: 1000, Channel.WEBHOOK: 20, Channel.APPRISE: 1000}
"""The most firings that a sender sends to one receiver before it goes on with other receivers."""

NEVER = datetime.min.replace(tzinfo=UTC)
COLUMNS = {
    "delivery_pk": "pk",
    "attempts": "attempts",
    "alert_pk": "firing__alert_id",
    "symbol": "firing__alert__ticker__symbol",
    "decimals": "firing__alert__ticker__decimals",
    **{name: f"firing__alert__{name}" for name in ("kind", "level", "percent", "window_seconds", "repeat", "note")},
    "fired_level": "firing__level",
    **{
        name: f"firing__{name}"
        for name in (
            *("reference", "price", "timestamp", "seq_id", "source", "late", "blind_us"),
            *("received_at", "evaluated_at", "recorded_at"),
        )
    },
}
"""A dict from field of DueFiring to the column of that field in a query of deliveries."""


class DueLane(NamedTuple):
    """A receiver for which something is due."""

    channel: Channel
    owner_pk: int
    email: str

    @property
    def name(self) -> str:
        if self.channel is not Channel.EMAIL:
            return f"{self.channel}:{self.owner_pk}"
        # One lane for an address, also if two accounts have it. The digest does not reveal the address.
        return f"{self.channel}:{hashlib.sha256(self.email.casefold().encode()).hexdigest()[:40]}"


class Backlog(NamedTuple):
    """How many deliveries wait, and when the oldest of their firings was recorded."""

    waiting: int
    oldest: datetime | None


class OutboxUnavailable(TransientError):
    """The database does not answer or is locked, or the tables of deliveries do not exist yet."""


def translate_errors() -> AbstractContextManager[None]:
    """Turns database errors into OutboxUnavailable."""
    return translate_database_errors(OutboxUnavailable, "deliveries")


def find_due(now: datetime, gather: timedelta) -> list[DueLane]:
    """Returns the receivers with due deliveries or test messages. Raises OutboxUnavailable.

    The receiver that was served longest ago comes first, so that slow receivers with many firings delay no other. The
    result has no receiver to which another sender sends now, or whose lane rests after a message. An e-mail is sent
    `gather` after it is due, so that firings of the same moment come in one e-mail.
    """
    email = Channel.EMAIL.value
    with translate_errors():
        rows = (
            waiting_deliveries()
            .filter(next_attempt_at__lte=now)
            .exclude(channel=email, next_attempt_at__gt=now - gather)
            .values_list("channel", "firing__alert__owner_id", "firing__alert__owner__email")
            .annotate(oldest=Min("next_attempt_at"))
            .order_by("oldest")
        )
        tests = _waiting_tests().values_list("channel", "owner_id", "owner__email").order_by("test_asked_at")
        found = dict.fromkeys([*tests, *(row[:3] for row in rows)])
        served = _read_served(now) if found else {}
    lanes = [DueLane(Channel(channel), owner, email) for channel, owner, email in found]
    free = [(served.get(lane.name, NEVER), lane) for lane in lanes]
    return [lane for moment, lane in sorted(free, key=itemgetter(0)) if moment <= now]


def _read_served(now: datetime) -> dict[str, datetime]:
    """Returns when each lane was last served; for a lane that is leased or rests, a time after `now`."""
    rows = DeliveryLane.objects.values_list("name", "leased_until", "rest_until")
    return {name: rest if rest > now else leased for name, leased, rest in rows}


def lease_lane(name: str, lease: str, now: datetime, until: datetime) -> bool:
    """Leases a lane until a time. Returns False if another sender has the lane, or if the lane rests."""
    with translate_errors():
        lanes = DeliveryLane.objects.filter(name=name)
        if not lanes.exists():
            # Another sender may create the lane at the same moment.
            DeliveryLane.objects.bulk_create(
                [DeliveryLane(name=name, leased_until=now, rest_until=now)], ignore_conflicts=True
            )
        free = lanes.filter(leased_until__lte=now, rest_until__lte=now)
        return free.update(lease=lease, leased_until=until) == 1


def renew_leases(names: Sequence[str], lease: str, until: datetime) -> None:
    """Extends the leases of lanes that this sender holds."""
    with translate_errors():
        DeliveryLane.objects.filter(name__in=names, lease=lease).update(leased_until=until)


def release_lane(name: str, lease: str, now: datetime, rest_until: datetime) -> None:
    """Ends a lease. The lane then rests until `rest_until`."""
    with translate_errors():
        DeliveryLane.objects.filter(name=name, lease=lease).update(lease="", leased_until=now, rest_until=rest_until)


def delete_old_lanes(before: datetime) -> None:
    """Deletes lanes that nothing has used since a time."""
    with translate_errors():
        DeliveryLane.objects.filter(leased_until__lt=before, rest_until__lt=before).delete()


def read_turn(due: DueLane, now: datetime) -> Turn:
    """Returns what is due for a receiver.

    The address of the receiver is empty if it can get nothing, for example after the person has stopped the e-mails.
    """
    with translate_errors():
        owner = User.objects.filter(pk=due.owner_pk).first()
        target = DeliveryTarget.objects.filter(owner=due.owner_pk, channel=due.channel.value).first()
        rows = (
            waiting_deliveries()
            .filter(firing__alert__owner=due.owner_pk, channel=due.channel.value, next_attempt_at__lte=now)
            .order_by("next_attempt_at", "pk")
            .values_list(*COLUMNS.values(), "firing__arming")[: MAX_FIRINGS[due.channel]]
        )
        firings = tuple(_make_firing(row) for row in rows)
        failures = DeliveryLane.objects.filter(name=due.name).values_list("failures", flat=True).first() or 0
        receiver = _make_receiver(due, owner, target, now)
    asked = target.test_asked_at if target and target.test_done_at is None else None
    return Turn(due.name, receiver, firings, f"test-{asked.timestamp():.6f}" if asked else "", failures)


def count_backlog() -> Backlog:
    """Returns how many deliveries wait. Raises OutboxUnavailable."""
    with translate_errors():
        waiting = waiting_deliveries()
        return Backlog(waiting.count(), waiting.aggregate(oldest=Min("firing__recorded_at"))["oldest"])


def waiting_deliveries() -> QuerySet[Delivery]:
    """Returns a query of all unfinished deliveries by CHANNELS."""
    return Delivery.objects.filter(
        state=DeliveryState.WAITING.value, channel__in=[channel.value for channel in CHANNELS]
    ).order_by()


def _waiting_tests() -> QuerySet[DeliveryTarget]:
    return DeliveryTarget.objects.filter(test_asked_at__isnull=False, test_done_at__isnull=True)


def _make_firing(row: Sequence[object]) -> DueFiring:
    *values, arming = row
    fields = dict(zip(COLUMNS, values, strict=True))
    return DueFiring(key=f"{fields['alert_pk']}-{arming}", **fields)  # type: ignore[arg-type]


def _make_receiver(due: DueLane, owner: User | None, target: DeliveryTarget | None, now: datetime) -> Receiver:
    address = "" if target is None else target.url
    if due.channel is Channel.EMAIL:
        address = "" if owner is None else owner.email
    if owner is None or not owner.is_active or (target is not None and target.stops(address)):
        address = ""
    return Receiver(due.owner_pk, due.channel, address, _keys(target, now), _read_zone(due.owner_pk))


def _read_zone(owner_pk: int) -> str:
    zone = Preferences.objects.filter(owner=owner_pk).values_list("zone", flat=True).first()
    return zone if zone in _all_zones() else "UTC"


@cache
def _all_zones() -> frozenset[str]:
    return frozenset(available_timezones())  # reads many folders, which takes longer than all queries of a turn


def _keys(target: DeliveryTarget | None, now: datetime) -> tuple[str, ...]:
    if target is None:
        return ()
    old = target.old_secret if target.old_secret_until and target.old_secret_until > now else ""
    return tuple(secret for secret in (target.secret, old) if secret)
