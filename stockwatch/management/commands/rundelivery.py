"""`manage.py rundelivery`: runs the sender, which delivers firings by e-mail, webhook and Apprise."""

from ipaddress import ip_network
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand

from feeds.program_health import serve_health
from feeds.stop_signals import stop_event
from stockwatch.delivering.sender import Sender
from stockwatch.delivering.transports import Transports
from watchlist.alerts.delivery.apprise_client import AppriseClient
from watchlist.alerts.delivery.webhooks.client import WebhookClient
from watchlist.errors import AppriseMissing


class Command(BaseCommand):
    help = "Delivers the firings of alerts by e-mail, webhook and Apprise until SIGTERM or Ctrl-C."
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        stop = stop_event()
        serve_health(settings.DELIVERY_METRICS_PORT, "DELIVERY_METRICS_PORT")
        if settings.PRODUCTION and not settings.HAS_SITE_URL:
            structlog.get_logger(__name__).warning("SITE_URL is not set", links_lead_to=settings.SITE_URL)
        allowed = [ip_network(text, strict=False) for text in settings.WEBHOOK_ALLOWED_NETWORKS]
        try:
            apprise = AppriseClient(settings.APPRISE_SERVICES)
        except AppriseMissing as error:
            raise SystemExit(f"stockwatch: {error}") from error
        transports = Transports(WebhookClient(allowed), apprise, settings.SITE_URL, stop)
        Sender(transports.deliver, settings.DELIVERY_LEASE).run(stop)
