"""Warns if a public site shows prices of a source that forbids its prices on public sites."""

from collections.abc import Iterable
from ipaddress import ip_address

import structlog
from django.conf import settings
from django.db import DatabaseError, connection

from feeds.source_names import NOT_FOR_THE_PUBLIC
from watchlist.lists.search import served_sources
from watchlist.prices.source_labels import title_of

log = structlog.get_logger(__name__)


def warn_of_public_prices() -> None:
    """Logs one warning if this site is public and serves tickers of restricted sources.

    A site is public if PRIVATE is false and other machines may reach the site. A restricted source forbids its prices
    on a public site.
    """
    if settings.PRIVATE or not any(map(is_public_host, settings.ALLOWED_HOSTS)):
        return
    if titles := find_restricted_sources():
        log.warning(
            "the terms of a source forbid its prices on a public site: set PRIVATE=true, or deactivate its tickers",
            sources=titles,
        )


def is_public_host(host: str) -> bool:
    """Returns whether an entry of ALLOWED_HOSTS lets other machines reach the site."""
    name = host.strip("[].").lower()
    try:
        return not ip_address(name).is_loopback
    except ValueError:
        return name != "localhost" and not name.endswith(".localhost")


def find_restricted_sources() -> Iterable[str]:
    """Returns the titles of the restricted sources whose tickers this site serves, such as `Alpaca`.

    A restricted source forbids its prices on a public site. Returns no titles if the database does not answer.
    """
    try:
        return sorted(title_of(source) for source in NOT_FOR_THE_PUBLIC & served_sources())
    except DatabaseError:
        return []
    finally:
        connection.close()  # the processes that serve requests open their own
