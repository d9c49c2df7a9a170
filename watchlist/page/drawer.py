"""Reads the values that the drawer shows. The drawer is the panel with the details of one symbol."""

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from feeds.models import Ticker
from watchlist.accounts.preferences import appearance_of, numerals_for
from watchlist.lists.rules import NamedList
from watchlist.page.context import clock_values, make_rows, own_lists
from watchlist.page.position import PagePosition
from watchlist.page.rows import Row, name_reference
from watchlist.prices.quotes import read_quotes
from watchlist.prices.ranges import RANGES, parse_range, read_range_candles, write_table
from watchlist.prices.source_labels import describe_sources


def read_drawer(request: HttpRequest, ticker: Ticker, position: PagePosition) -> dict[str, Any]:
    """Returns the values for the drawer's template, by name."""
    now = timezone.now()
    [row] = make_rows(request, [ticker], read_quotes([ticker.symbol]), now)
    lists = own_lists(request).read().lists
    lists_with = [named_list for named_list in lists if ticker.symbol in named_list.symbols]
    noted_list = next((each for each in lists_with if each.key == (position.key or lists[0].key)), None)
    range_name = parse_range(request.GET.get("range", ""))
    zone, numerals = appearance_of(request).tz, numerals_for(request)
    return {
        "ranges": [(name, chart_range.label) for name, chart_range in RANGES.items()],
        "range": range_name,
        "bars": write_table(read_range_candles(ticker, range_name), ticker.decimals, zone, numerals),
        "shown": row,
        "shown_source": describe_sources([ticker.source]),
        "shown_reference": name_reference([row]),
        "day_prices": _day_prices(row),
        "position": position,
        "lists_with": lists_with,
        "noted_list": noted_list,
        "note": "" if noted_list is None else noted_list.notes.get(ticker.symbol, ""),
        "other_notes": _other_notes(lists_with, noted_list, ticker.symbol),
        "lists_without": [named_list for named_list in lists if ticker.symbol not in named_list.symbols],
        **clock_values(now),
    }


def _day_prices(row: Row) -> dict[str, str]:
    prices = {
        "bid": row.bid,
        "ask": row.ask,
        "open": row.day.open,
        "high": row.day.high,
        "low": row.day.low,
        "previous_close": row.day.previous_close,
        "base_price": row.ticker.base_price,
    }
    return {name: row.write_price(price) for name, price in prices.items()}


def _other_notes(
    lists_with: Sequence[NamedList], noted_list: NamedList | None, symbol: str
) -> list[tuple[NamedList, str]]:
    """Returns pairs of a list and its note about the symbol. Leaves out `noted_list`, the list that the page shows."""
    others = [each for each in lists_with if each is not noted_list]
    return [(each, each.notes[symbol]) for each in others if symbol in each.notes]
