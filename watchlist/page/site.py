"""Supplies the values that the templates of all pages need, and the header of the admin pages."""

from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import DatabaseError
from django.http import HttpRequest
from django.utils import timezone

from watchlist.accounts.preferences import CHOICES, appearance_of
from watchlist.lists.search import served_sources
from watchlist.page.alerts.history_views import count_recent_firings
from watchlist.prices.source_labels import SourceLabel, describe_sources


def describe_site(request: HttpRequest) -> dict[str, Any]:
    """Returns the values for the templates of all pages, by name.

    `appearance`, `sources` and `recent_firings` are functions. The database is read only when a template calls one of
    these functions.
    """
    return {
        "appearance": lambda: appearance_of(request),
        "themes": tuple(CHOICES["theme"].items()),
        "palettes": tuple(CHOICES["palette"].items()),
        "registration_open": settings.REGISTRATION_OPEN,
        "private": settings.PRIVATE,
        "socket_origin": settings.SOCKET_ORIGIN,
        "sources": cache(describe_all_sources),
        "recent_firings": cache(lambda: _count_recent_firings(request)),
    }


def _count_recent_firings(request: HttpRequest) -> int:
    user = getattr(request, "user", None)
    return count_recent_firings(user, timezone.now()) if isinstance(user, User) else 0


def describe_all_sources() -> SourceLabel | None:
    """Returns where the prices of all served tickers come from, or None if the database is unavailable."""
    try:
        return describe_sources(served_sources())
    except DatabaseError:
        return None


def write_admin_header() -> str:
    """Returns the header of the admin's pages, such as `stockwatch: prices from Kraken`."""
    return f"stockwatch: {describe_sources(served_sources()).prices}"
