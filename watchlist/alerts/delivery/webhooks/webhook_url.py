"""Checks the URL of a webhook when a person saves it. Pure."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from watchlist.alerts.delivery.webhooks.addresses import Network, is_allowed, read_address
from watchlist.errors import BadTarget

MAX_URL_LENGTH = 1000


def check_webhook_url(url: str, allowed: Sequence[Network]) -> str:
    """Returns the URL without surrounding spaces. Raises BadTarget.

    The sender checks the address again at each attempt, because a name may lead to another address later.
    """
    url = url.strip()
    if len(url) > MAX_URL_LENGTH:
        raise BadTarget(f"A URL can have {MAX_URL_LENGTH} characters.")
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise BadTarget("A URL cannot contain spaces or special characters. Write them as %20, a host name as xn--….")
    host = _host_of(url)
    try:
        address = read_address(host)
    except ValueError:
        if host == "localhost" and not allowed:
            raise BadTarget("A webhook cannot go to this machine.") from None
        return url
    if not is_allowed(address, allowed):
        raise BadTarget(f"{address} is not a public address.")
    return url


def _host_of(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port  # reading the port checks it
    except ValueError:
        raise BadTarget("This is not a URL.") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise BadTarget("A webhook has a URL that begins with https:// or http://.")
    if "@" in parts.netloc:
        raise BadTarget("A URL cannot contain a user name or a password. The signature shows who sends a webhook.")
    return host
