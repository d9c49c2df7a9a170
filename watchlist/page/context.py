"""What the watchlist's page shows, read in a handful of queries: tabs, rows, and what may be added. Changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils import timezone

from feeds.models import Ticker
from watchlist.accounts.page_owner import page_owner
from watchlist.accounts.preferences import appearance_of, numerals_for
from watchlist.formatting.moments import write_moment
from watchlist.lists.rules import MOST_LISTS, MOST_SYMBOLS, UNSAVED
from watchlist.lists.search import is_served, served_tickers
from watchlist.lists.storage import ListStore, Tab, lists_of, pick_tab
from watchlist.page.rows import Row, make_row, name_reference
from watchlist.page.sorting import OWN_ORDER, Sort, headings, read_sort
from watchlist.prices.day import Day
from watchlist.prices.history import read_days
from watchlist.prices.quotes import Quotes, read_quotes

MOST_SUGGESTIONS = 200
"""Tickers that the add field suggests without a script; the page stays small however many there are."""
MODULES = [
    f"watchlist/{name}.js"
    for name in (
        *("clock", "combobox", "drag", "drawer", "feed", "format", "keyboard", "lists"),
        *("quotes", "row", "socket", "sort", "sparkline", "status", "table"),
    )
]
"""The modules that `main.js` needs. The page preloads them, so that the browser fetches all at once."""


@dataclass(frozen=True, slots=True)
class PagePosition:
    """Where on the page a person is: which list (None: the first), in which order."""

    key: int | None = None
    sort: Sort = OWN_ORDER

    @property
    def query(self) -> str:
        asked = {"list": self.key, "sort": str(self.sort)}
        return urlencode({name: value for name, value in asked.items() if value})

    @property
    def address(self) -> str:
        return reverse("watchlist") + (f"?{self.query}" if self.query else "")


def read_place(given: QueryDict) -> PagePosition:
    """From the query of an address or the fields of a form; nonsense is the first list in its own order."""
    text = given.get("list", "")
    key = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
    # A list that was not kept anywhere when its form was made is the first one, kept or not.
    return PagePosition(None if key == UNSAVED else key, read_sort(given.get("sort", "")))


def own_lists(request: HttpRequest) -> ListStore:
    return lists_of(request.user, request.session)


def read_page(request: HttpRequest, place: PagePosition) -> dict[str, Any]:
    """The context of the page's templates. Raises NoSuchList."""
    shelf = own_lists(request)
    tabs = shelf.tabs()
    tab = pick_tab(tabs, place.key)
    tickers = shelf.tickers(tab.key)
    now = timezone.now()
    quotes = read_quotes([ticker.symbol for ticker in tickers])
    rows = make_rows(request, tickers, quotes, now)
    return {
        "tabs": tabs,
        "tab": tab,
        "place": PagePosition(tab.key, place.sort),
        "rows": place.sort.arrange(rows),
        "headings": headings(place.sort),
        "own_order": not place.sort.column,
        "reference": name_reference(rows),
        "suggestions": suggest(tickers),
        "available": quotes.available,
        "full": len(tickers) >= MOST_SYMBOLS,
        "most_lists": MOST_LISTS,
        "most_symbols": MOST_SYMBOLS,
        "room_for_lists": len(tabs) < MOST_LISTS,
        "new": not request.user.is_authenticated and not shelf.stored,
        "as_of": write_moment(now, now, appearance_of(request).tz),
        "modules": MODULES,
        "owner": page_owner(request),
        "numerals": numerals_for(request),
        **clock_facts(now),
    }


def clock_facts(now: datetime) -> dict[str, Any]:
    """What scripts need to tell ages by the server's clock."""
    return {
        "now": now,
        "now_us": str(int(now.timestamp() * 1_000_000)),
        "stale_after_ms": str(int(settings.STALE_AFTER.total_seconds() * 1000)),
    }


def make_rows(request: HttpRequest, tickers: Sequence[Ticker], quotes: Quotes, now: datetime) -> list[Row]:
    """The rows of these tickers, with their days where Redis is there to say them quickly."""
    zone, numerals, nothing = appearance_of(request).tz, numerals_for(request), Day()
    days = read_days([ticker.symbol for ticker in tickers], now) if quotes.available else {}
    return [
        make_row(
            ticker,
            quotes.updates.get(ticker.symbol),
            now,
            settings.STALE_AFTER,
            days.get(ticker.symbol, nothing),
            zone,
            is_served(ticker),
            numerals,
        )
        for ticker in tickers
    ]


def suggest(listed: Sequence[Ticker]) -> list[Ticker]:
    """What is not on the list yet, by symbol."""
    others = served_tickers().exclude(pk__in=[ticker.pk for ticker in listed])
    return list(others.only("symbol", "name").order_by("symbol")[:MOST_SUGGESTIONS])


def next_to(tabs: Sequence[Tab], key: int) -> int | None:
    """The list to show when this one is deleted."""
    keys = [tab.key for tab in tabs]
    at = keys.index(key) if key in keys else 0
    rest = keys[:at] + keys[at + 1 :]
    return rest[min(at, len(rest) - 1)] if rest else None
