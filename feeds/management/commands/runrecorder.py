"""`manage.py runrecorder`: runs the recorder, which stores bars of all prices."""

from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand

from feeds.errors import PermanentError
from feeds.history.market_days import make_source_days
from feeds.kafka.consumer import UpdateConsumer
from feeds.program_health import serve_health
from feeds.recorder.bar_archive import BarArchive
from feeds.recorder.loop import Recorder
from feeds.recorder.past_writer import Simulation
from feeds.recorder.recent_bars import RecentBars
from feeds.source_names import SOURCE_NAMES, WITHOUT_HISTORY
from feeds.stop_signals import stop_event
from feeds.store.audit_metrics import AuditWatch
from feeds.store.connection import connect


class Command(BaseCommand):
    help = "Records bars of all prices in Redis and in the database until SIGTERM or Ctrl-C."
    requires_system_checks = ()

    def handle(self, *_args: Any, **_options: Any) -> None:
        stop = stop_event()
        audited = [name for name in SOURCE_NAMES if name not in WITHOUT_HISTORY]
        AuditWatch(connect(settings.REDIS), audited, stop).start()
        source = UpdateConsumer(
            settings.KAFKA_BROKERS, settings.KAFKA_TOPIC, settings.RECORDER_GROUP_ID, settings.KAFKA_SESSION_TIMEOUT
        )
        serve_health(settings.RECORDER_METRICS_PORT, "RECORDER_METRICS_PORT", source.describe)
        market_days = make_source_days(settings.MARKET_TIME_ZONE, settings.MARKET_DAY_START)
        simulation = Simulation(settings.GENERATOR_INTERVAL.total_seconds(), settings.GENERATOR_SEED)
        recent_bars = RecentBars(connect(settings.REDIS))
        recorder = Recorder(source, recent_bars, BarArchive(), market_days, settings.RECORDER_RETENTION, simulation)
        try:
            complete = recorder.run(stop)
        except PermanentError as error:
            structlog.get_logger(__name__).error(str(error))
            raise SystemExit(1) from error
        raise SystemExit(0 if complete else 1)
