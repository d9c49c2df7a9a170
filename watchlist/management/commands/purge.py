"""`manage.py purge`: deletes expired web sessions and the visitors' lists in them."""

import threading
from importlib import import_module
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, close_old_connections

DAY_SECONDS = 24 * 3600.0
log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Deletes expired sessions: once, for cron, or every day until it is stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--daily", action="store_true", help="keep running and repeat every day")

    def handle(self, *_args: Any, daily: bool, **_options: Any) -> None:
        purge()
        while daily:
            threading.Event().wait(DAY_SECONDS)
            close_old_connections()
            try:
                purge()
            except DatabaseError as error:
                log.warning("sessions not purged, next attempt tomorrow", error=type(error).__name__)


def purge() -> None:
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    log.info("expired sessions purged")
