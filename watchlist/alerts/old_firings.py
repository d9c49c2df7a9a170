"""Deletes old firings with their deliveries, and the rows of deleted alerts."""

from datetime import datetime, timedelta

from django.db.models import QuerySet

from watchlist.alert_kinds import State
from watchlist.alert_models import Alert, Firing

FIRINGS_PER_TRANSACTION = 1_000
"""How many firings or alerts are deleted at once. During a transaction no other process can write to SQLite."""
DELETED_ALERTS_KEPT = timedelta(days=1)
"""How long a deleted alert without firings stays in the database. A person can undo the deletion for a shorter time."""


def delete_old_firings(before: datetime) -> int:
    """Deletes all firings that were recorded before a time. Returns their number. Raises DatabaseError."""
    return _delete_in_parts(Firing.objects.filter(recorded_at__lt=before))


def delete_unused_alerts(now: datetime) -> int:
    """Deletes the rows of alerts without firings that were deleted more than DELETED_ALERTS_KEPT ago.

    Without this, a program that creates and deletes alerts would fill the database. Returns the number of deleted rows.
    Raises DatabaseError.
    """
    deleted = Alert.objects.filter(state=State.DELETED.value, changed_at__lt=now - DELETED_ALERTS_KEPT)
    return _delete_in_parts(deleted.filter(firings=None))


def _delete_in_parts(rows: QuerySet[Alert] | QuerySet[Firing]) -> int:
    deleted, old = 0, rows.order_by("pk").values_list("pk", flat=True)
    while keys := list(old[:FIRINGS_PER_TRANSACTION]):
        rows.filter(pk__in=keys).delete()
        deleted += len(keys)
    return deleted
