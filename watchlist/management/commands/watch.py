"""`manage.py watch AAPL GOOG`: shows the prices of a gateway in the terminal."""

import asyncio
import os
import signal
import sys
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from watchlist.terminal.client import GatewayRefused, WatchClient
from watchlist.terminal.display import LineDisplay, TableDisplay
from watchlist.terminal.state import WatchState


class Command(BaseCommand):
    help = "Shows live prices: a table on a terminal, one line per update in a pipe. Ctrl-C stops it."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        address = f"ws://{settings.APP_HOST or 'localhost'}:{settings.APP_PORT}/ws"
        parser.add_argument("symbols", nargs="+", metavar="SYMBOL")
        parser.add_argument("--url", default=address, help=f"address of the gateway (default: {address})")

    def handle(self, *_args: Any, symbols: list[str], url: str, **_options: Any) -> None:
        state = WatchState(symbols, settings.STALE_AFTER.total_seconds())
        display = TableDisplay(state, url) if sys.stdout.isatty() else LineDisplay(state, sys.stdout, sys.stderr)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with suppress(KeyboardInterrupt), display:
                asyncio.run(WatchClient(url, state, display).run())
        except GatewayRefused as error:
            raise CommandError(str(error)) from error
        except BrokenPipeError:
            # The program that reads the output has ended, as `head` does. Without `dup2`, Python prints a second error.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
