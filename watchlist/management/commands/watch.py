"""`manage.py watch AAPL GOOG`: prices in the terminal, from any gateway. Arguments and wiring only."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from watchlist.terminal.client import Refused, Watcher
from watchlist.terminal.display import Lines, LiveTable
from watchlist.terminal.state import WatchState


class Command(BaseCommand):
    help = "Shows live prices: a table in a terminal, a line an update in a pipe. Ctrl-C ends it."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        address = f"ws://{settings.APP_HOST or 'localhost'}:{settings.APP_PORT}/ws"
        parser.add_argument("symbols", nargs="+", metavar="SYMBOL")
        parser.add_argument("--url", default=address, help=f"the gateway; default: {address}")

    def handle(self, *_args: Any, symbols: list[str], url: str, **_options: Any) -> None:
        panel = WatchState(symbols, settings.STALE_AFTER.total_seconds())
        screen = LiveTable(panel, url) if sys.stdout.isatty() else Lines(panel, sys.stdout, sys.stderr)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with suppress(KeyboardInterrupt), screen:
                asyncio.run(Watcher(url, panel, screen).run())
        except Refused as error:
            raise CommandError(str(error)) from error
        except BrokenPipeError:
            # Who read us has gone, as `head` does; Python would say so once more at the end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
