"""Supplies the values that all pages show: a context processor, and the header of the admin."""

from functools import cache
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest

from watchlist.accounts.preferences import CHOICES, appearance_of
from watchlist.lists.search import served_sources
from watchlist.prices.source_labels import SourceLabel, describe_sources


def describe_site(request: HttpRequest) -> dict[str, Any]:
    """Returns the appearance, the themes and palettes to choose from, and whether sign-up is open.

    `private` says whether the site needs an account. `sources` is the label of the prices of all served tickers. A page
    with prices replaces this label by the label of the page's prices. `appearance` and `sources` are functions. A call
    of these functions in a template queries the database.
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
    """Returns the label of the prices of all served tickers.

    Returns None if the database does not answer. Some pages, such as the page for an unknown address, need no database.
    Without a database, these pages show no label.
    """
    try:
        return describe_sources(served_sources())
    except DatabaseError:
        return None


def write_admin_header() -> str:
    """Returns the header of the admin's pages, such as `stockwatch: prices from Kraken`."""
    return f"stockwatch: {describe_sources(served_sources()).prices}"
