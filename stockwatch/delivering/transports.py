"""Delivers one turn by the channel of its receiver: e-mail, webhook or Apprise."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from watchlist.alert_kinds import Channel
from watchlist.alerts.delivery.apprise_client import AppriseClient
from watchlist.alerts.delivery.mail import send_mail
from watchlist.alerts.delivery.outcomes import Outcome, Result
from watchlist.alerts.delivery.turns import DueFiring, Report, Turn
from watchlist.alerts.delivery.webhooks.client import WebhookClient
from watchlist.alerts.delivery.webhooks.payload import make_firing_body, make_test_body
from watchlist.alerts.delivery.webhooks.signature import make_headers

TURN_SECONDS = 10.0
"""How long a turn sends webhooks to one receiver. Then other receivers get their turn."""

NO_ADDRESS = "nothing is set up for this channel any more"


class Transports:
    """Delivers turns. Thread-safe. `stop` ends a turn between two webhooks."""

    def __init__(self, webhooks: WebhookClient, apprise: AppriseClient, site_url: str, stop: threading.Event) -> None:
        self._webhooks = webhooks
        self._apprise = apprise
        self._site_url = site_url
        self._stop = stop

    def deliver(self, turn: Turn, report: Callable[[Report], None]) -> None:
        """Sends everything that the turn contains, and reports each attempt."""
        if not turn.receiver.address:
            report(Report(turn, turn.firings, bool(turn.test), Outcome(Result.REFUSED, NO_ADDRESS)))
        elif turn.receiver.channel is Channel.WEBHOOK:
            self._post_all(turn, report)
        elif turn.firings or turn.test:
            send = self._apprise.send if turn.receiver.channel is Channel.APPRISE else send_mail
            report(Report(turn, turn.firings, bool(turn.test), send(turn, self._site_url)))

    def _post_all(self, turn: Turn, report: Callable[[Report], None]) -> None:
        ends_at = time.monotonic() + TURN_SECONDS
        messages: list[tuple[DueFiring, ...]] = [(firing,) for firing in turn.firings]
        for firings in [(), *messages] if turn.test else messages:
            outcome = self._post(turn, firings)
            report(Report(turn, firings, not firings, outcome))
            if outcome.result is Result.RETRY_ALL or self._stop.is_set() or time.monotonic() > ends_at:
                return

    def _post(self, turn: Turn, firings: tuple[DueFiring, ...]) -> Outcome:
        now = datetime.now(UTC)
        key = firings[0].key if firings else turn.test
        body = make_firing_body(firings[0]) if firings else make_test_body(now)
        headers = make_headers(turn.receiver.keys, key, int(now.timestamp()), body)
        return self._webhooks.post(turn.receiver.address, headers, body)
