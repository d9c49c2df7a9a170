"""Deletes old firings with their deliveries."""

from datetime import datetime

from watchlist.alert_models import Firing

FIRINGS_PER_TRANSACTION = 1_000
"""How many firings are deleted at once. During a transaction no other process can write to SQLite."""


def delete_old_firings(before: datetime) -> int:
    """Deletes all firings that were recorded before a time. Returns their number. Raises DatabaseError."""
    deleted, old = 0, Firing.objects.filter(recorded_at__lt=before).order_by("pk").values_list("pk", flat=True)
    while keys := list(old[:FIRINGS_PER_TRANSACTION]):
        Firing.objects.filter(pk__in=keys).delete()
        deleted += len(keys)
    return deleted
