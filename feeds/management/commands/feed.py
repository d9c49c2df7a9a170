"""`manage.py feed check SOURCE` and `manage.py feed audit SOURCE`: examine a source of real prices."""

from collections.abc import Callable
from datetime import date
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from feeds.management.feed_audit import audit_source
from feeds.management.feed_check import check


class Command(BaseCommand):
    help = "Examines a source of real prices."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        checking = commands.add_parser("check", help="connect once: status, latency, clock difference, unknown tickers")
        checking.add_argument("source", help="the source, such as kraken")
        audit = commands.add_parser("audit", help="compare yesterday's recorded bars with the source's own")
        audit.add_argument("source", help="the source, such as kraken")
        audit.add_argument("--day", type=date.fromisoformat, help="the market day, such as 2026-11-22; else yesterday")

    def handle(self, *_args: Any, command: str, source: str, day: date | None = None, **_options: Any) -> None:
        write: Callable[[str], object] = self.stdout.write
        succeeded = check(source, write) if command == "check" else audit_source(source.lower(), day, write)
        if not succeeded:
            raise SystemExit(1)
