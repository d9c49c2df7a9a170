"""`manage.py purge`: forgets expired sessions, with the lists of visitors that were in them."""

import threading
from importlib import import_module
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, close_old_connections

DAY = 24 * 3600.0
log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Deletes expired sessions: once, for cron, or every day until it is stopped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--daily", action="store_true", help="stay, and do it again every day")

    def handle(self, *_args: Any, daily: bool, **_options: Any) -> None:
        purge()
        while daily:
            threading.Event().wait(DAY)
            close_old_connections()
            try:
                purge()
            except DatabaseError as error:
                log.warning("sessions were not purged, again tomorrow", error=type(error).__name__)


def purge() -> None:
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    log.info("expired sessions are purged")
