"""Checks the sources of real prices: credentials and connections."""

import asyncio
import time
from collections.abc import Iterator, Sequence

from django.conf import settings
from django.core.management.base import CommandError

from feeds.feeder.source_check import CheckReport, check_source
from feeds.management.source_settings import endpoint, find, rest_url
from feeds.sources.adapter import Source
from feeds.tickers.starters import starters
from stockwatch.doctor.finding import Finding, failed, passed, warned

LISTEN_SECONDS = 0.0
"""How long to listen for trades. The doctor only needs to know that the source accepts a subscription."""


def check_sources(names: Sequence[str]) -> Iterator[Finding]:
    """Connects to each source in `names`, the value of the setting FEEDS."""
    if not names:
        yield passed("sources", "FEEDS is empty: all prices are simulated")
    for name in names:
        try:
            source = find(name)
        except CommandError as error:
            yield failed("sources", str(error), "or remove it from FEEDS")
        else:
            yield check_one_source(source)


def check_one_source(source: Source) -> Finding:
    """Connects to a source once and subscribes to one symbol."""
    natives = [source.to_native(starter.symbol) for starter in starters(source.name, settings.ALPACA_FEED)[:1]]
    begin = time.monotonic()
    report: CheckReport = asyncio.run(check_source(source, endpoint(source), rest_url(source), natives, LISTEN_SECONDS))
    seconds = time.monotonic() - begin
    if report.failure:
        advice = "check network, proxy and key, and whether the source serves this country: docs/sources.md"
        return failed("sources", f"{source.name} cannot be used: {report.failure}", advice)
    if report.list_failure:
        advice = f"check {source.name.upper()}_REST_URL and the network"
        return warned("sources", f"{source.name}: its HTTP service cannot be read ({report.list_failure})", advice)
    return passed("sources", f"{source.name}: {report.status or 'connected'} within {seconds:.1f} s")
