"""`manage.py purge`: deletes expired web sessions and the visitors' lists in them."""

import threading
from importlib import import_module
from pathlib import Path
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
        parser.add_argument("--mark", metavar="FILE", type=Path, help="touch this file after each success")
        parser.add_argument("--daily", action="store_true", help="keep running and repeat every day")

    def handle(self, *_args: Any, daily: bool, mark: Path | None = None, **_options: Any) -> None:
        purge(mark)
        while daily:
            threading.Event().wait(DAY_SECONDS)
            close_old_connections()
            try:
                purge(mark)
            except DatabaseError as error:
                log.warning("sessions not purged, next attempt tomorrow", error=type(error).__name__)


def purge(mark: Path | None) -> None:
    """Deletes expired sessions and touches `mark`. Raises DatabaseError, and then leaves the file as it is."""
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    if mark is not None:
        mark.touch()
    log.info("expired sessions purged")
