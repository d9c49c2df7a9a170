"""`manage.py rungateway`: pages and `/ws` under Daphne, from the environment, in one process or several."""

import argparse
import os
import socket
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from stockwatch.serving.ports import PortTaken, bind_host, open_listener
from stockwatch.serving.processes import GatewayProcesses
from stockwatch.serving.shared_counts import SharedCounts


class Command(BaseCommand):
    help = "Serves the page, the admin and /ws. SIGTERM closes every socket with 4001 first."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default=settings.APP_HOST, help="address to bind; all when APP_PORT names none")
        parser.add_argument("--port", type=int, default=settings.APP_PORT)
        parser.add_argument("--processes", type=int, default=settings.GATEWAY_PROCESSES, help="0: one a core")
        # What a parent tells its children: which of how many they are, who it is, what they share, where to listen.
        parser.add_argument("--worker", help=argparse.SUPPRESS)
        parser.add_argument("--parent", type=int, default=os.getppid(), help=argparse.SUPPRESS)
        parser.add_argument("--board", help=argparse.SUPPRESS)
        parser.add_argument("--listener", type=int, help=argparse.SUPPRESS)

    def handle(self, *_args: Any, host: str, port: int, processes: int, worker: str, **options: Any) -> None:
        host, processes = bind_host(host), processes or os.cpu_count() or 1
        try:
            if worker:
                board = make_board(worker, options["board"])
                self._serve(self._child_listener(host, port, options["listener"]), options["parent"], board)
            elif processes == 1:
                self._serve(open_listener(host, port), options["parent"], None)
            else:
                sys.exit(GatewayProcesses(host, port, processes, settings.GATEWAY_DRAIN.total_seconds()).run())
        except PortTaken as error:
            raise CommandError(str(error)) from error

    @staticmethod
    def _child_listener(host: str, port: int, inherited: int | None) -> socket.socket:
        return open_listener(host, port, shared=True) if inherited is None else socket.socket(fileno=inherited)

    @staticmethod
    def _serve(listener: socket.socket, parent: int, board: SharedCounts | None) -> None:
        # Imported here: Daphne installs Twisted's reactor, which no other command and no parent needs.
        from stockwatch.serving.server import run_server
        from stockwatch.serving.wiring import share

        if board is not None:
            share(board)
        run_server(listener, parent if board is not None else None)


def make_board(worker: str, board: str) -> SharedCounts:
    """What the processes of one gateway share, from a child's arguments."""
    slot, _, count = worker.partition("/")
    memory, _, folder = board.partition(":")
    return SharedCounts(int(memory), folder, slots=int(count), mine=int(slot))
