"""`manage.py purge`: deletes expired web sessions with the visitors' lists in them, old firings, and deleted alerts."""

import signal
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, close_old_connections
from django.utils import timezone

from feeds.stop_signals import STOP_SIGNALS
from watchlist.alerts.old_firings import delete_old_firings, delete_unused_alerts

DAY_SECONDS = 24 * 3600.0
RETRY_SECONDS = 3600.0
log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Deletes expired sessions, old firings and deleted alerts: once, for cron, or every day until it is stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--daily", action="store_true", help="keep running and repeat every day")
        parser.add_argument("--stamp", type=Path, help="file to touch after each purge, for a health check")

    def handle(self, *_args: Any, daily: bool, stamp: Path | None, **_options: Any) -> None:
        if daily:
            for number in STOP_SIGNALS:
                # Process 1 of a container ignores signals that it has no handler for.
                signal.signal(number, stop)
        purge(stamp)
        if daily:
            purge_daily(stamp, threading.Event().wait)


def stop(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(0)


def purge_daily(stamp: Path | None, wait: Callable[[float], object]) -> NoReturn:
    """Purges every day. After a failure, tries again an hour later.

    Calls `wait` with the number of seconds until the next purge. Ends when `wait` raises an exception.
    """
    seconds = DAY_SECONDS
    while True:
        wait(seconds)
        close_old_connections()
        try:
            purge(stamp)
            seconds = DAY_SECONDS
        except DatabaseError as error:
            log.warning("sessions, firings or alerts not purged, next attempt in an hour", error=type(error).__name__)
            seconds = RETRY_SECONDS


def purge(stamp: Path | None = None) -> None:
    """Deletes expired web sessions, old firings and deleted alerts, then touches the file `stamp`.

    Raises DatabaseError.
    """
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    log.info("expired sessions purged")
    deleted = delete_old_firings(timezone.now() - settings.ALERTS_RETENTION)
    log.info("old firings purged", firings=deleted)
    log.info("deleted alerts purged", alerts=delete_unused_alerts(timezone.now()))
    if stamp:
        stamp.touch()
