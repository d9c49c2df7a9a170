"""Reads the values that the watchlist page shows: tabs, rows and suggestions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from feeds.models import Ticker
from watchlist.accounts.page_owner import page_owner
from watchlist.accounts.preferences import appearance_of, numerals_for
from watchlist.accounts.throttle import may_start_session
from watchlist.formatting.moments import write_moment
from watchlist.lists.listed_tickers import ListedTicker
from watchlist.lists.rules import MAX_LISTS, MAX_SYMBOLS
from watchlist.lists.search import is_served, served_names
from watchlist.lists.storage import ListStore, pick_tab, store_for
from watchlist.page.columns import Column, choose_number_width, pick_columns
from watchlist.page.position import PagePosition
from watchlist.page.rows import Row, make_row, name_reference
from watchlist.page.sorting import headings
from watchlist.page.table_html import Suggestion
from watchlist.prices.day import NO_DAY, Day, PriceRange
from watchlist.prices.quotes import Quotes, read_quotes
from watchlist.prices.recent_days import read_days
from watchlist.prices.source_labels import describe_sources
from watchlist.prices.source_states import find_symbol_state, read_known_states, stale_after
from watchlist.prices.year_ranges import read_year_ranges

MAX_SUGGESTIONS = 200
"""The maximum number of symbols that the page suggests in a browser without scripts."""
MODULES = [
    f"watchlist/{name}.js"
    for name in (
        *("clock", "combobox", "drawer", "feed", "format", "keyboard", "lists", "merge"),
        *("quotes", "row", "socket", "sort", "sparkline", "status", "table"),
    )
]
"""The scripts that `main.js` imports, directly or through other scripts."""


def own_lists(request: HttpRequest) -> ListStore:
    """Returns the store for the lists of the person who makes the request."""
    return store_for(request.user, request.session, lambda: may_start_session(request))


def read_page(request: HttpRequest, position: PagePosition) -> dict[str, Any]:
    """Returns the values for the page's templates, by name. Raises NoSuchList if the list in `position` is unknown."""
    store = own_lists(request)
    tabs = store.tabs()
    tab = pick_tab(tabs, position.key)
    tickers = store.tickers(tab.key)
    now = timezone.now()
    quotes = read_quotes([ticker.symbol for ticker in tickers])
    columns = pick_columns(tab.columns)
    if position.sort.column not in {column.key for column in columns}:
        position = PagePosition(position.key)  # scripts read the sort from the headings
    rows = make_rows(request, tickers, quotes, now, _shows_years(columns))
    return {
        "home": reverse("watchlist"),
        "tabs": tabs,
        "tab": tab,
        "position": PagePosition(tab.key, position.sort),
        "rows": position.sort.arrange(rows),
        "columns": columns,
        "columns_open": request.GET.get("columns") == "open",
        "headings": headings(position.sort, columns),
        "own_order": not position.sort.column,
        "reference": name_reference(rows),
        "number_width": choose_number_width(rows),
        "has_currencies": any(row.currency for row in rows),
        "suggestions": suggest_tickers(tickers),
        "available": quotes.available,
        "partly_available": bool(quotes.updates),
        "full": len(tickers) >= MAX_SYMBOLS,
        "max_symbols": MAX_SYMBOLS,
        "room_for_lists": len(tabs) < MAX_LISTS,
        "new": not request.user.is_authenticated and not store.stored,
        "as_of": write_moment(now, now, appearance_of(request).tz),
        **({"sources": describe_sources([ticker.source for ticker in tickers])} if tickers else {}),
        "owner": page_owner(request),
        "numerals": numerals_for(request),
        **clock_values(now),
    }


def clock_values(now: datetime) -> dict[str, Any]:
    """Returns the values with which scripts compute ages: the server's time, and the age at which a price is stale."""
    return {
        "now": now,
        "now_us": str(int(now.timestamp() * 1_000_000)),
        "stale_after_ms": str(int(settings.STALE_AFTER.total_seconds() * 1000)),
    }


def make_rows(
    request: HttpRequest,
    tickers: Sequence[Ticker | ListedTicker],
    quotes: Quotes,
    now: datetime,
    with_years: bool = False,
) -> list[Row]:
    """Returns a table row for each of these tickers, in the same order.

    `with_years` says whether to read the 52-week ranges, which takes long. If Redis is unavailable, the rows have no
    prices of the market day.
    """
    zone, numerals = appearance_of(request).tz, numerals_for(request)
    symbols = [ticker.symbol for ticker in tickers]
    # If Redis is unavailable, it is not asked again, because waiting would delay the page.
    days = read_days(symbols, now) if quotes.available else {}
    states = read_known_states(ticker.source for ticker in tickers) if quotes.available else {}
    years = read_year_ranges(symbols, now) if with_years else {}
    limit = settings.STALE_AFTER
    # The rows show currencies only if the tickers have different currencies.
    are_mixed = len({ticker.currency for ticker in tickers if ticker.currency}) > 1
    return [
        make_row(
            ticker,
            quotes.updates.get(ticker.symbol),
            now,
            stale_after(states.get(ticker.source), limit),
            days.get(ticker.symbol, NO_DAY),
            zone,
            is_served(ticker),
            numerals,
            _join_year(years.get(ticker.symbol), days.get(ticker.symbol, NO_DAY)) if with_years else None,
            ticker.currency if are_mixed else "",
            find_symbol_state(states.get(ticker.source), ticker.symbol),
            ticker.note if isinstance(ticker, ListedTicker) else "",
        )
        for ticker in tickers
    ]


def _join_year(year: PriceRange | None, day: Day) -> PriceRange | None:
    """Returns the 52-week range `year`, extended to contain the range of the newest day."""
    # `year` comes from the database, which may lack the prices of the last minute.
    return day.range if year is None else year.join(day.range)


def _shows_years(columns: Sequence[Column]) -> bool:
    return any(column.key == "year-range" for column in columns)


def suggest_tickers(listed: Sequence[Ticker | ListedTicker]) -> list[Suggestion]:
    """Returns at most MAX_SUGGESTIONS served tickers that are not in `listed`, sorted by symbol."""
    symbols = {ticker.symbol for ticker in listed}
    # A query that leaves out the listed tickers takes longer, because it has a parameter for each listed ticker.
    served = served_names(MAX_SUGGESTIONS + len(symbols))
    return [Suggestion._make(row) for row in served if row[0] not in symbols][:MAX_SUGGESTIONS]
