"""Decides whether a ticker can be deleted."""

from collections.abc import Iterable

from django.contrib.admin.utils import NestedObjects

from feeds.models import Ticker


def reasons_to_keep(ticker: Ticker) -> Iterable[str]:
    """Yields a sentence for each reason why a ticker cannot be deleted."""
    if ticker.active:
        yield f"{ticker} is active."
    collector = NestedObjects(using=ticker._state.db or "default")
    collector.collect([ticker])
    if users := len(collector.protected):
        kind = next(iter(collector.protected))._meta
        yield f"{ticker} is used by {users} {kind.verbose_name if users == 1 else kind.verbose_name_plural}."
