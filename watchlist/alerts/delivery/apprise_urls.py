"""Checks the Apprise URLs of accounts. Allows only services whose host an account cannot choose. Pure."""

import re
from collections.abc import Collection

from watchlist.errors import BadTarget

MAX_URL_LENGTH = 300
SERVICES = {
    # A second part of the path, or a parameter such as `mode`, would make the first part the name of a host.
    "ntfys": ("ntfy.sh", "ntfys://TOPIC", r"ntfys://[A-Za-z0-9_-]{1,64}"),
    "tgram": ("Telegram", "tgram://BOT_TOKEN/CHAT_ID", r"tgram://[0-9]{5,15}:[A-Za-z0-9_-]{30,50}/-?[0-9]{1,20}"),
    "discord": ("Discord", "discord://ID/TOKEN", r"discord://[0-9]{15,25}/[A-Za-z0-9_-]{40,120}"),
    "slack": ("Slack", "slack://T…/B…/TOKEN", r"slack://T[A-Z0-9]{5,20}/B[A-Z0-9]{5,20}/[A-Za-z0-9]{20,40}"),
    "pover": ("Pushover", "pover://USER@TOKEN", r"pover://[A-Za-z0-9]{30}@[A-Za-z0-9]{30}"),
}
"""A dict from scheme to the service's name, the form of its URLs, and the pattern of all accepted URLs.

The patterns are narrower than Apprise's: no host, no port, no parameter.
"""


def check_apprise_url(url: str, allowed: Collection[str]) -> str:
    """Returns the URL without surrounding spaces. Raises BadTarget.

    `allowed` are the schemes that the operator allows.
    """
    url = url.strip()
    if len(url) > MAX_URL_LENGTH:
        raise BadTarget(f"An Apprise URL can have {MAX_URL_LENGTH} characters here.")
    scheme = url.partition("://")[0]
    if scheme not in SERVICES or scheme not in allowed:
        raise BadTarget("This site sends to: " + ", ".join(describe_services(allowed)) + ".")
    _, form, pattern = SERVICES[scheme]
    if not re.fullmatch(pattern, url):
        raise BadTarget(f"The URL must have the form {form}, without more parts.")
    return url


def describe_services(allowed: Collection[str]) -> list[str]:
    """Returns the services that the operator allows, each with the form of its URLs."""
    return [f"{name} ({form})" for scheme, (name, form, _) in SERVICES.items() if scheme in allowed]
