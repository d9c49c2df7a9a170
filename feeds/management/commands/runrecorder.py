"""`manage.py runrecorder`: keeps bars of all prices, for charts and changes. Wiring and signals only."""

from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand

from feeds.archive import Archive
from feeds.days import Days
from feeds.errors import PermanentError
from feeds.kafka.source import Source
from feeds.metrics import serve_metrics
from feeds.recorder import Recorder
from feeds.rings import Rings
from feeds.signals import stop_flag
from feeds.store import connect


class Command(BaseCommand):
    help = "Keeps bars of all prices in Redis and in the database until SIGTERM or Ctrl-C."
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        stop = stop_flag()
        serve_metrics(settings.RECORDER_METRICS_PORT, "RECORDER_METRICS_PORT")
        source = Source(
            settings.KAFKA_BROKERS, settings.KAFKA_TOPIC, settings.RECORDER_GROUP_ID, settings.KAFKA_SESSION_TIMEOUT
        )
        days = Days(settings.MARKET_TIME_ZONE, settings.MARKET_DAY_START)
        recorder = Recorder(source, Rings(connect(settings.REDIS)), Archive(), days, settings.RECORDER_RETENTION)
        try:
            done = recorder.run(stop)
        except PermanentError as error:
            structlog.get_logger(__name__).error(str(error))
            raise SystemExit(1) from error
        raise SystemExit(0 if done else 1)
