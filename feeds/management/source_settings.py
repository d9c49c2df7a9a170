"""Reads the addresses and credentials of sources from the settings."""

from django.conf import settings
from django.core.management.base import CommandError

from feeds.errors import UnknownSource
from feeds.feeder.network.connection import Endpoint
from feeds.sources.adapter import Credentials, Source
from feeds.sources.registry import find_source


def find(name: str) -> Source:
    """Returns a source. Raises CommandError if the source is unknown or its key is missing."""
    try:
        source = find_source(name.lower(), settings.ALPACA_FEED)
    except UnknownSource as error:
        raise CommandError(str(error)) from error
    if source.needs_credentials and not (credentials(source).key and credentials(source).secret):
        prefix = source.name.upper()
        raise CommandError(f"{source.name} needs a key: set {prefix}_KEY_ID and {prefix}_SECRET_KEY")
    return source


def endpoint(source: Source) -> Endpoint:
    """Returns the address and the credentials of a source."""
    return Endpoint(getattr(settings, f"{source.name.upper()}_URL") or source.url, credentials(source))


def rest_url(source: Source) -> str:
    """Returns the address of the source's HTTP service."""
    return str(getattr(settings, f"{source.name.upper()}_REST_URL") or source.rest_url)


def credentials(source: Source) -> Credentials:
    """Returns the credentials of a source. Key and secret are empty if the settings do not contain them."""
    prefix = source.name.upper()
    return Credentials(getattr(settings, f"{prefix}_KEY_ID", ""), getattr(settings, f"{prefix}_SECRET_KEY", ""))
