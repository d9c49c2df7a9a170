"""Fetches bars of fake exchanges in tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from feeds.feeder.network.http_client import HttpClient
from feeds.history.backfill import Backfill
from feeds.sources.adapter import Credentials, Source
from tests.exchanges.server import Exchange
from tests.support.recording.bars import UTC_DAYS

MINUTE_US = 60_000_000
DAY_US = 1440 * MINUTE_US
NOW = 20_500 * DAY_US + 700 * MINUTE_US + 1
"""The time of the fake exchanges, in unix microseconds: 11:40 UTC."""


@asynccontextmanager
async def open_backfill(source: Source, exchange: Exchange, now: int = NOW) -> AsyncIterator[Backfill]:
    """Yields a backfill that does not pause between requests."""
    client = HttpClient(msgspec.structs.replace(source, rest_interval=0.0), exchange.rest_url, Credentials("k", "s"))
    try:
        yield Backfill(source, client.get, UTC_DAYS, lambda: now)
    finally:
        await client.close()


def add_trades(exchange: Exchange, *ages: int, symbol: str = "BTC/USD", size: str = "0.5") -> None:
    """Adds a trade to the exchange's ledger for each age. Ages are in microseconds before NOW. Sends no trade."""
    exchange.trades([(symbol, str(100 + age % 7), size, NOW - age) for age in sorted(ages, reverse=True)], sent=False)


Row = tuple[int, float, float, float, float, int]


def ledger_bars(exchange: Exchange, interval: int, symbol: str = "BTC/USD") -> list[Row]:
    """Returns the bars of the exchange that ended before NOW: start, open, high, low, close and volume.

    `interval` is the length of a bar in seconds. The volume is in units of 1e-8.
    """
    return [
        (bar.start, float(bar.open), float(bar.high), float(bar.low), float(bar.close), round(bar.volume * 10**8))
        for bar in exchange.ledger.bars(symbol, interval)
        if bar.start + interval * 1_000_000 <= NOW
    ]
