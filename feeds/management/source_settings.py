"""Reads the addresses and credentials of sources from the settings."""

from django.conf import settings
from django.core.management.base import CommandError

from feeds.feeder.connection import Endpoint
from feeds.sources.adapter import Credentials, Source
from feeds.sources.coinbase import COINBASE
from feeds.sources.kraken import KRAKEN

SOURCES = {source.name: source for source in (KRAKEN, COINBASE)}


def find(name: str) -> Source:
    """Returns a source with the addresses of the settings. Raises CommandError if it is unknown or lacks its key."""
    source = SOURCES.get(name.lower())
    if source is None:
        raise CommandError(f"{name[:20]!r} is no source: name some of {', '.join(SOURCES)}")
    if source.needs_credentials and not (credentials(source).key and credentials(source).secret):
        prefix = source.name.upper()
        raise CommandError(f"{source.name} needs a key: set {prefix}_KEY_ID and {prefix}_SECRET_KEY")
    return source


def endpoint(source: Source) -> Endpoint:
    """Returns where to connect to."""
    return Endpoint(getattr(settings, f"{source.name.upper()}_URL") or source.url, credentials(source))


def rest_url(source: Source) -> str:
    """Returns the address of the source's HTTP service."""
    return str(getattr(settings, f"{source.name.upper()}_REST_URL") or source.rest_url)


def credentials(source: Source) -> Credentials:
    """Returns the key of a source that needs one."""
    prefix = source.name.upper()
    return Credentials(getattr(settings, f"{prefix}_KEY_ID", ""), getattr(settings, f"{prefix}_SECRET_KEY", ""))
