"""Gives commands access to the past bars of a source."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from django.conf import settings
from django.core.management.base import CommandError

from feeds.feeder.network.http_client import HttpClient
from feeds.history.backfill import Backfill
from feeds.history.market_days import MarketDays, make_source_days
from feeds.history.pages import Fetch
from feeds.management.source_settings import credentials, find, rest_url
from feeds.models import Ticker
from feeds.source_names import WITHOUT_HISTORY
from feeds.sources.adapter import Source


class SourceHistory(NamedTuple):
    """A source with its calendar of market days, and an open HTTP client."""

    source: Source
    client: HttpClient
    market_days: MarketDays

    @property
    def backfill(self) -> Backfill:
        """A Backfill that fetches bars from this source."""
        return make_backfill(self.source, self.client.get)


def make_backfill(source: Source, fetch: Fetch) -> Backfill:
    """Returns a Backfill of a source. The Backfill sends its requests with `fetch`."""
    return Backfill(source, fetch, read_market_days(source), lambda: time.time_ns() // 1000)


def read_market_days(source: Source) -> MarketDays:
    """Returns the calendar of market days of a source, as the settings define it."""
    return make_source_days(settings.MARKET_TIME_ZONE, settings.MARKET_DAY_START).of(source.name)


@asynccontextmanager
async def open_history(name: str) -> AsyncIterator[SourceHistory]:
    """Yields the SourceHistory of a source. Raises CommandError if the source is unknown or its key is missing."""
    source = find(name)
    client = HttpClient(source, rest_url(source), credentials(source))
    try:
        yield SourceHistory(source, client, read_market_days(source))
    finally:
        await client.close()


def find_tickers(symbols: list[str], source: str = "") -> dict[str, list[tuple[str, str]]]:
    """Returns real tickers by source, such as `{"kraken": [("BTC/USD", "")]}`.

    A ticker is a pair: the symbol, and the native symbol or an empty text. If `symbols` is empty, finds all active
    tickers. If `source` is given, finds only tickers of this source. Raises CommandError if one of `symbols` is not
    found.
    """
    rows = Ticker.objects.exclude(source__in=WITHOUT_HISTORY).order_by("symbol")
    rows = rows.filter(symbol__in=symbols) if symbols else rows.filter(active=True)
    by_source: dict[str, list[tuple[str, str]]] = {}
    for symbol, name, native in rows.values_list("symbol", "source", "native"):
        if source in ("", name):
            by_source.setdefault(name, []).append((symbol, native))
    found = {symbol for tickers in by_source.values() for symbol, _ in tickers}
    if missing := [symbol for symbol in symbols if symbol not in found]:
        raise CommandError(f"no ticker of a real source: {', '.join(missing)}")
    return by_source
