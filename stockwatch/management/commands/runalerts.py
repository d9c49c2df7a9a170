"""`manage.py runalerts`: runs the alert engine, which fires the alerts of all accounts."""

from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand

from feeds.errors import PermanentError
from feeds.history.market_days import make_source_days
from feeds.kafka.consumer import UpdateConsumer
from feeds.program_health import serve_health
from feeds.stop_signals import stop_event
from feeds.store.connection import connect
from stockwatch.alerting.background_publisher import BackgroundPublisher
from stockwatch.alerting.engine import AlertEngine
from stockwatch.alerting.state_publisher import StatePublisher
from watchlist.alerts.kinds.recorded_prices import RecordedCloses


class Command(BaseCommand):
    help = "Evaluates all alerts and writes their firings to the database until SIGTERM or Ctrl-C."
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        stop = stop_event()
        source = UpdateConsumer(
            settings.KAFKA_BROKERS, settings.KAFKA_TOPIC, settings.ALERTS_GROUP_ID, settings.KAFKA_SESSION_TIMEOUT
        )
        serve_health(settings.ALERTS_METRICS_PORT, "ALERTS_METRICS_PORT", source.describe)
        calendar = make_source_days(settings.MARKET_TIME_ZONE, settings.MARKET_DAY_START)
        publisher = BackgroundPublisher(StatePublisher(connect(settings.REDIS)))
        try:
            closes = RecordedCloses(connect(settings.REDIS))
            complete = AlertEngine(source, calendar, publisher.publish, find_closes=closes.find).run(stop)
        except PermanentError as error:
            structlog.get_logger(__name__).error(str(error))
            raise SystemExit(1) from error
        finally:
            publisher.close()
        raise SystemExit(0 if complete else 1)
