"""What the drawer shows of one symbol: its price, its day, and the lists it is on. Changes nothing."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from feeds.models import Ticker
from watchlist.accounts.preferences import appearance_of, numerals_for
from watchlist.formatting.numbers import write_number
from watchlist.page.context import PagePosition, clock_facts, make_rows, own_lists
from watchlist.page.rows import name_reference
from watchlist.prices.quotes import read_quotes
from watchlist.prices.ranges import RANGES, parse_range, read_range_candles, write_table


def read_symbol(request: HttpRequest, ticker: Ticker, place: PagePosition) -> dict[str, Any]:
    """The context of the drawer's template."""
    now = timezone.now()
    [row] = make_rows(request, [ticker], read_quotes([ticker.symbol]), now)
    lists = own_lists(request).book().lists
    numerals = numerals_for(request)
    asked = parse_range(request.GET.get("range", ""))
    return {
        "ranges": [(name, chart_range.label) for name, chart_range in RANGES.items()],
        "range": asked,
        "bars": write_table(read_range_candles(ticker, asked), ticker.decimals, appearance_of(request).tz, numerals),
        "shown": row,
        "shown_reference": name_reference([row]),
        "base": write_number(ticker.base_price, ticker.decimals, numerals),
        "place": place,
        "lists_with": [named for named in lists if ticker.symbol in named.symbols],
        "lists_without": [named for named in lists if ticker.symbol not in named.symbols],
        **clock_facts(now),
    }
