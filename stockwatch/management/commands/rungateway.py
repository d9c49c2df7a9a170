"""`manage.py rungateway`: pages and `/ws` under Daphne, from the environment."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    help = "Serves the page, the admin and /ws. SIGTERM closes every socket with 4001 first."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.APP_HOST, help="address to bind; all when APP_PORT names none")
        parser.add_argument("--port", type=int, default=settings.APP_PORT)

    def handle(self, *_args: Any, host: str, port: int, **_options: Any) -> None:
        # Imported here: Daphne installs Twisted's reactor, which no other command needs.
        from stockwatch.server import PortTaken, run_server

        try:
            run_server(host, port)
        except PortTaken as error:
            raise CommandError(str(error)) from error
