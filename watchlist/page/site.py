"""Supplies the values that the templates of all pages need, and the header of the admin pages."""

from functools import cache
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest

from watchlist.accounts.preferences import CHOICES, appearance_of
from watchlist.lists.search import served_sources
from watchlist.prices.source_labels import SourceLabel, describe_sources


def describe_site(request: HttpRequest) -> dict[str, Any]:
    """Returns the values for the templates of all pages, by name.

    `appearance` and `sources` are functions. The database is read only when a template calls one of these functions.
    """
    return {
        "appearance": lambda: appearance_of(request),
        "themes": tuple(CHOICES["theme"].items()),
        "palettes": tuple(CHOICES["palette"].items()),
        "registration_open": settings.REGISTRATION_OPEN,
        "private": settings.PRIVATE,
        "sources": cache(describe_all_sources),
    }


def describe_all_sources() -> SourceLabel | None:
    """Returns where the prices of all served tickers come from, or None if the database is unavailable."""
    try:
        return describe_sources(served_sources())
    except DatabaseError:
        return None


def write_admin_header() -> str:
    """Returns the header of the admin's pages, such as `stockwatch: prices from Kraken`."""
    return f"stockwatch: {describe_sources(served_sources()).prices}"
