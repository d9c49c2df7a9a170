"""Reads what the watchlist page shows: tabs, rows and suggestions.

This module changes nothing, and makes only a few database queries.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from feeds.models import Ticker
from watchlist.accounts.page_owner import page_owner
from watchlist.accounts.preferences import appearance_of, numerals_for
from watchlist.accounts.throttle import may_start_session
from watchlist.formatting.moments import write_moment
from watchlist.lists.rules import MAX_LISTS, MAX_SYMBOLS
from watchlist.lists.search import is_served, served_tickers
from watchlist.lists.storage import ListStore, pick_tab, store_for
from watchlist.page.columns import choose_number_width
from watchlist.page.position import PagePosition
from watchlist.page.rows import REFERENCE_NAMES, Row, make_row, name_reference
from watchlist.page.sorting import headings
from watchlist.prices.day import NO_DAY
from watchlist.prices.quotes import Quotes, read_quotes
from watchlist.prices.recent_days import read_days

MAX_SUGGESTIONS = 200
"""The most tickers that the field for new symbols suggests while no script runs. It bounds the size of the page."""
MODULES = [
    f"watchlist/{name}.js"
    for name in (
        *("clock", "combobox", "drawer", "feed", "format", "keyboard", "lists", "merge"),
        *("quotes", "row", "socket", "sort", "sparkline", "status", "table"),
    )
]
"""The files that `main.js` imports. The page names them, so that the browser loads them in parallel."""


def own_lists(request: HttpRequest) -> ListStore:
    """Returns the lists of the person who makes the request."""
    return store_for(request.user, request.session, lambda: may_start_session(request))


def read_page(request: HttpRequest, position: PagePosition) -> dict[str, Any]:
    """Returns the dict of values that the page's templates show. Raises NoSuchList."""
    store = own_lists(request)
    tabs = store.tabs()
    tab = pick_tab(tabs, position.key)
    tickers = store.tickers(tab.key)
    now = timezone.now()
    quotes = read_quotes([ticker.symbol for ticker in tickers])
    rows = make_rows(request, tickers, quotes, now)
    return {
        "tabs": tabs,
        "tab": tab,
        "position": PagePosition(tab.key, position.sort),
        "rows": position.sort.arrange(rows),
        "headings": headings(position.sort),
        "own_order": not position.sort.column,
        "reference": name_reference(rows),
        "reference_names": "|".join(REFERENCE_NAMES),
        "number_width": choose_number_width(rows),
        "suggestions": suggest_tickers(tickers),
        "available": quotes.available,
        "full": len(tickers) >= MAX_SYMBOLS,
        "max_symbols": MAX_SYMBOLS,
        "room_for_lists": len(tabs) < MAX_LISTS,
        "new": not request.user.is_authenticated and not store.stored,
        "as_of": write_moment(now, now, appearance_of(request).tz),
        "modules": MODULES,
        "owner": page_owner(request),
        "numerals": numerals_for(request),
        **clock_values(now),
    }


def clock_values(now: datetime) -> dict[str, Any]:
    """Returns template values for scripts, which compute the ages of prices by the server's clock."""
    return {
        "now": now,
        "now_us": str(int(now.timestamp() * 1_000_000)),
        "stale_after_ms": str(int(settings.STALE_AFTER.total_seconds() * 1000)),
    }


def make_rows(request: HttpRequest, tickers: Sequence[Ticker], quotes: Quotes, now: datetime) -> list[Row]:
    """Returns a table row for each of these tickers, in the same order.

    If Redis is unavailable, the rows do not contain the prices of the market day. So the page is answered without
    delay.
    """
    zone, numerals = appearance_of(request).tz, numerals_for(request)
    days = read_days([ticker.symbol for ticker in tickers], now) if quotes.available else {}
    return [
        make_row(
            ticker,
            quotes.updates.get(ticker.symbol),
            now,
            settings.STALE_AFTER,
            days.get(ticker.symbol, NO_DAY),
            zone,
            is_served(ticker),
            numerals,
        )
        for ticker in tickers
    ]


def suggest_tickers(listed: Sequence[Ticker]) -> list[Ticker]:
    """Returns at most MAX_SUGGESTIONS served tickers that are not in `listed`, sorted by symbol."""
    others = served_tickers().exclude(pk__in=[ticker.pk for ticker in listed])
    return list(others.only("symbol", "name").order_by("symbol")[:MAX_SUGGESTIONS])
