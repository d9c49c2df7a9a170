"""Opens the history of a source, with the address and the key of the settings, for commands."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from django.conf import settings
from django.core.management.base import CommandError

from feeds.errors import UnknownSource
from feeds.feeder.http_client import HttpClient
from feeds.history.backfill import Backfill
from feeds.history.market_days import make_source_days
from feeds.sources.adapter import Credentials, Source
from feeds.sources.registry import find_source


class SourceHistory(NamedTuple):
    """A source with an open HTTP client, and a backfill that uses it."""

    source: Source
    client: HttpClient
    backfill: Backfill


@asynccontextmanager
async def open_history(name: str) -> AsyncIterator[SourceHistory]:
    """Opens the history of a source. Raises CommandError if the source is unknown or lacks its key."""
    source = _find(name)
    prefix = source.name.upper()
    url = getattr(settings, f"{prefix}_REST_URL", "") or source.rest_url
    client = HttpClient(source, url, _credentials(prefix))
    days = make_source_days(settings.MARKET_TIME_ZONE, settings.MARKET_DAY_START).of(source.name)
    try:
        yield SourceHistory(source, client, Backfill(source, client.get, days, lambda: time.time_ns() // 1000))
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
