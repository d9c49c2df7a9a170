"""Opens the history of a source, with the address and the key of the settings, for commands."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from django.conf import settings
from django.core.management.base import CommandError

from feeds.errors import UnknownSource
from feeds.feeder.network.http_client import HttpClient
from feeds.history.backfill import Backfill
from feeds.history.market_days import MarketDays, make_source_days
from feeds.models import Ticker
from feeds.source_names import WITHOUT_HISTORY
from feeds.sources.adapter import Credentials, Source
from feeds.sources.registry import find_source


class SourceHistory(NamedTuple):
    """A source with its calendar and an open HTTP client."""

    source: Source
    client: HttpClient
    market_days: MarketDays

    @property
    def backfill(self) -> Backfill:
        """Returns a backfill from this source."""
        return Backfill(self.source, self.client.get, self.market_days, lambda: time.time_ns() // 1000)


@asynccontextmanager
async def open_history(name: str) -> AsyncIterator[SourceHistory]:
    """Opens the history of a source. Raises CommandError if the source is unknown or lacks its key."""
    source = _find(name)
    prefix = source.name.upper()
    url = getattr(settings, f"{prefix}_REST_URL", "") or source.rest_url
    client = HttpClient(source, url, _credentials(prefix))
    days = make_source_days(settings.MARKET_TIME_ZONE, settings.MARKET_DAY_START).of(source.name)
    try:
        yield SourceHistory(source, client, days)
    finally:
        await client.close()


def _find(name: str) -> Source:
    try:
        source = find_source(name, getattr(settings, "ALPACA_FEED", "iex"))
    except UnknownSource as error:
        raise CommandError(str(error)) from error
    prefix = source.name.upper()
    credentials = _credentials(prefix)
    if source.needs_credentials and not (credentials.key and credentials.secret):
        raise CommandError(f"{source.name} needs a key: set {prefix}_KEY_ID and {prefix}_SECRET_KEY")
    return source


def _credentials(prefix: str) -> Credentials:
    return Credentials(getattr(settings, f"{prefix}_KEY_ID", ""), getattr(settings, f"{prefix}_SECRET_KEY", ""))


def find_tickers(symbols: list[str], source: str = "") -> dict[str, list[tuple[str, str]]]:
    """Returns a dict from source to pairs of symbol and native symbol, which may be empty.

    No `symbols` stand for all active tickers. If `source` is given, only its tickers are found. Raises CommandError if
    a symbol has no ticker with a history.
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
