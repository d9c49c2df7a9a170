"""`manage.py feed check SOURCE`: connects to a source once and reports what it says."""

import asyncio
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from feeds.errors import FeedError
from feeds.feeder.source_check import check_source, describe
from feeds.management.source_settings import endpoint, find, rest_url
from feeds.tickers.starters import starters
from feeds.tickers.subscriptions import SubscriptionReader


class Command(BaseCommand):
    help = "Connects to a source once, and reports status, latency, clock difference and unknown tickers."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=("check",))
        parser.add_argument("source")

    def handle(self, *_args: Any, source: str, **_options: Any) -> None:
        chosen = find(source)
        try:
            subscriptions = SubscriptionReader().read().get(chosen.name, {})
        except FeedError as error:
            raise CommandError(str(error)) from error
        if not subscriptions:
            self.stdout.write(
                f"no active ticker has the source {chosen.name}: trying the first one of its starter list"
            )
            subscriptions = {starter.symbol: "" for starter in starters(chosen.name, settings.ALPACA_FEED)[:1]}
        symbols = {native or chosen.to_native(symbol): symbol for symbol, native in subscriptions.items()}
        report = asyncio.run(check_source(chosen, endpoint(chosen), rest_url(chosen), list(symbols)))
        self.stdout.write("\n".join(describe(report, chosen.title, symbols)))
        if report.failure:
            raise SystemExit(1)
