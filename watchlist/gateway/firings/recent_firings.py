"""Reads the newest firings of several accounts from the database."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from asgiref.sync import sync_to_async
from django.db import close_old_connections
from django.db.models import F, Window
from django.db.models.functions import RowNumber

from watchlist.alert_kinds import Channel
from watchlist.alert_models import Firing
from watchlist.gateway.firings.alert_frames import RecentFiring

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
# In the order of the fields of RecentFiring.
COLUMNS = (
    "pk",
    "alert__owner_id",
    "alert_id",
    "alert__ticker__symbol",
    "alert__ticker__decimals",
    "alert__kind",
    "alert__note",
    "alert__percent",
    "alert__window_seconds",
    "level",
    "price",
    "timestamp",
    "recorded_at",
    "late",
)


@sync_to_async
def read_newest_id() -> int:
    """Returns the id of the newest firing of any account, or 0. Raises django.db.DatabaseError."""
    close_old_connections()
    return Firing.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


@sync_to_async
def read_recent(accounts: Iterable[int], after: int, since: datetime, limit: int) -> dict[int, list[RecentFiring]]:
    """Returns a dict from account id to the newest firings of the account, the newest firing first.

    Each list has at most `limit` firings. The ids of the firings are greater than `after`. The times of the firings are
    not before `since`. Firings that are not shown on pages are left out. An account without firings is missing. Raises
    django.db.DatabaseError.
    """
    close_old_connections()
    accounts = set(accounts)
    newest_first = Window(RowNumber(), partition_by=F("alert__owner_id"), order_by=F("pk").desc())
    shown = Firing.objects.filter(pk__gt=after, recorded_at__gte=since, deliveries__channel=Channel.PAGE.value)
    if not after:
        # With a list of accounts, databases look up each account. That takes longer than reading the newest firings.
        shown = shown.filter(alert__owner__in=accounts)
    newest = shown.annotate(place=newest_first).filter(place__lte=limit).order_by("-pk")
    firings: dict[int, list[RecentFiring]] = {}
    for row in newest.values_list(*COLUMNS):
        if row[1] in accounts:
            firings.setdefault(row[1], []).append(_make_firing(row))
    return firings


def _make_firing(row: tuple[Any, ...]) -> RecentFiring:
    values = dict(zip(RecentFiring.__struct_fields__, row, strict=True))
    return RecentFiring(**values | {"recorded_at": (values["recorded_at"] - EPOCH) // MICROSECOND})
