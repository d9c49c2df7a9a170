"""`manage.py backfill`: fetches bars of real tickers from their sources."""

import asyncio
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from feeds.errors import TransientError
from feeds.feeder.network.http_client import RequestFailed
from feeds.history.backfill import DAY_COUNT
from feeds.management.source_history import find_tickers, open_history
from feeds.sources.adapter import BadMessage
from feeds.symbols import upper_case

MAX_DAYS = 3_650


class Command(BaseCommand):
    help = "Fetches bars of days and, for the last week, of minutes, from the sources of real tickers."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("symbols", nargs="*", metavar="SYMBOL", help="the tickers; all active real ones by default")
        parser.add_argument("--days", type=int, default=DAY_COUNT, help=f"how many days, {DAY_COUNT} by default")
        parser.add_argument("--again", action="store_true", help="also fetch what was fetched before")

    def handle(self, *_args: Any, symbols: list[str], days: int, again: bool, **_options: Any) -> None:
        if not 0 < days <= MAX_DAYS:
            raise CommandError(f"--days is from 1 to {MAX_DAYS}")
        failed = 0
        for source, tickers in find_tickers([upper_case(symbol) for symbol in symbols]).items():
            failed += asyncio.run(self._fetch_all(source, tickers, days, again))
        if failed:
            raise SystemExit(1)

    async def _fetch_all(self, source: str, tickers: list[tuple[str, str]], days: int, again: bool) -> int:
        """Fetches the bars of tickers of one source. Returns how many tickers failed."""
        failed = 0
        async with open_history(source) as history:
            for symbol, native in tickers:
                native = native or history.source.to_native(symbol)
                try:
                    fetched = await history.backfill.run(symbol, native, days, again)
                except (RequestFailed, BadMessage, TransientError) as error:
                    failed += 1
                    self.stderr.write(f"{symbol}: {source}: {error}")
                else:
                    self.stdout.write(f"{symbol}: {source}: {fetched.days} days, {fetched.minutes} minutes")
        return failed
