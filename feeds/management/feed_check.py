"""Connects to a source once and reports what the source says, for `manage.py feed check`."""

import asyncio
from collections.abc import Callable

from django.conf import settings
from django.core.management.base import CommandError

from feeds.errors import FeedError
from feeds.feeder.source_check import check_source, describe
from feeds.management.source_settings import endpoint, find, rest_url
from feeds.tickers.starters import starters
from feeds.tickers.subscriptions import SubscriptionReader


def check(source: str, write: Callable[[str], object]) -> bool:
    """Writes what a source says about itself and its tickers. Returns whether the source answered.

    Raises CommandError if the source is unknown or the tickers cannot be read.
    """
    chosen = find(source)
    try:
        subscriptions = SubscriptionReader().read().get(chosen.name, {})
    except FeedError as error:
        raise CommandError(str(error)) from error
    if not subscriptions:
        write(f"no active ticker has the source {chosen.name}: trying the first ticker of its starter list")
        subscriptions = {starter.symbol: "" for starter in starters(chosen.name, settings.ALPACA_FEED)[:1]}
    symbols = {native or chosen.to_native(symbol): symbol for symbol, native in subscriptions.items()}
    report = asyncio.run(check_source(chosen, endpoint(chosen), rest_url(chosen), list(symbols)))
    write("\n".join(describe(report, chosen.title, symbols)))
    return not report.failure
