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
    """Returns at most `limit` firings of each account, the newest one first, by the id of the account.

    Only firings that are newer than the id `after` and the time `since`, and that their person wants to see on pages,
    are returned. An account without such firings is missing. Raises django.db.DatabaseError.
    """
    close_old_connections()
    newest_first = Window(RowNumber(), partition_by=F("alert__owner_id"), order_by=F("pk").desc())
    shown = Firing.objects.filter(
        alert__owner__in=list(accounts), pk__gt=after, recorded_at__gte=since, deliveries__channel=Channel.PAGE.value
    )
    newest = shown.annotate(place=newest_first).filter(place__lte=limit).order_by("-pk")
    firings: dict[int, list[RecentFiring]] = {}
    for row in newest.values_list(*COLUMNS):
        firing = _make_firing(row)
        firings.setdefault(firing.account, []).append(firing)
    return firings


def _make_firing(row: tuple[Any, ...]) -> RecentFiring:
    values = dict(zip(RecentFiring.__struct_fields__, row, strict=True))
    return RecentFiring(**values | {"recorded_at": (values["recorded_at"] - EPOCH) // MICROSECOND})
