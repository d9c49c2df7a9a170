"""Sends messages about firings with Apprise.

Apprise is an optional package. It is imported only if the settings allow at least one service of Apprise.
"""

from collections.abc import Collection
from importlib import import_module
from typing import Any

import structlog

from watchlist.alerts.delivery.apprise_urls import check_apprise_url
from watchlist.alerts.delivery.digest import write_subject, write_text
from watchlist.alerts.delivery.outcomes import SENT, Outcome, Result
from watchlist.alerts.delivery.turns import Turn
from watchlist.errors import AppriseMissing, BadTarget

MAX_LINES = 10
"""The most firings that a message lists, because some services accept only 2,000 characters."""

log = structlog.get_logger(__name__)


class AppriseClient:
    """Sends messages to the services whose schemes are in `allowed`. Thread-safe.

    Raises AppriseMissing if `allowed` is not empty and the package is not installed.
    """

    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = allowed
        self._library: Any = None
        if allowed:
            try:
                self._library = import_module("apprise")
            except ImportError as error:
                raise AppriseMissing(
                    "APPRISE_SERVICES needs the package apprise: pip install -r requirements-apprise.txt"
                ) from error

    def send(self, turn: Turn, site_url: str) -> Outcome:
        """Sends one message about all firings of a turn. Returns an Outcome also after a failure."""
        try:
            url = check_apprise_url(turn.receiver.address, self._allowed)  # the operator may have changed the setting
        except BadTarget:
            return Outcome(Result.REFUSED, "this site does not send to this service any more")
        links = [f"{site_url}/alerts/"]
        text = write_text(turn.firings, turn.receiver.zone, bool(turn.test), links, MAX_LINES)
        asset = self._library.AppriseAsset(app_id="stockwatch", http_redirects=False)
        service = self._library.Apprise(asset=asset)
        try:
            # `notify` returns False after all failures and logs the reason, which may contain the token.
            is_sent = service.add(url) and service.notify(
                body=text, title=write_subject(turn.firings), body_format="text"
            )
        except Exception as error:
            log.warning("Apprise failed", error=type(error).__name__)
            is_sent = False
        return SENT if is_sent else Outcome(Result.RETRY_ALL, "the service did not accept the message")
