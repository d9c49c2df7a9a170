"""`manage.py rungateway`: serves the page, the admin and `/ws`, in one process or several."""

import argparse
import os
import socket
import sys
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from feeds.store.connection import warn_of_shared_channels
from stockwatch.serving.ports import PortUnavailable, open_listener, resolve_host
from stockwatch.serving.processes import GatewayProcesses
from stockwatch.serving.public_prices import warn_of_public_prices
from stockwatch.serving.shared_counts import SharedCounts

log = structlog.get_logger(__name__)


class Command(BaseCommand):
    help = "Serves the page, the admin and /ws. SIGTERM closes every socket with 4001 first."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--host",
            default=settings.APP_HOST,
            help="address to bind; default: APP_PORT, else all, or with the published SECRET_KEY 127.0.0.1",
        )
        parser.add_argument("--port", type=int, default=settings.APP_PORT)
        parser.add_argument("--processes", type=int, default=settings.GATEWAY_PROCESSES, help="0: one per core")
        # With several processes the parent passes these to its children: slot/count, the parent's process id,
        # memory:folder of the shared counts, the file descriptor of the bound socket, and the socket of the relay.
        parser.add_argument("--worker", help=argparse.SUPPRESS)
        parser.add_argument("--parent", type=int, default=os.getppid(), help=argparse.SUPPRESS)
        parser.add_argument("--shared", help=argparse.SUPPRESS)
        parser.add_argument("--listener", type=int, help=argparse.SUPPRESS)
        parser.add_argument("--relay", default="", help=argparse.SUPPRESS)

    def handle(self, *_args: Any, host: str, port: int, processes: int, worker: str, **options: Any) -> None:
        processes = processes or os.cpu_count() or 1
        if not worker:
            warn_of_shared_channels(settings.REDIS)
            warn_of_public_prices()
        try:
            host = self._choose_host(host, port)
            if worker:
                shared_counts = parse_shared_counts(worker, options["shared"])
                listener = socket.socket(fileno=options["listener"])
                self._serve(listener, options["parent"], shared_counts, options["relay"])
            elif processes == 1:
                self._serve(open_listener(host, port), options["parent"], None, "")
            else:
                # In a cluster, each process needs a connection to each node for its own symbols anyway.
                relay = settings.GATEWAY_RELAY and not settings.REDIS_CLUSTER
                drain = settings.GATEWAY_MAX_DRAIN.total_seconds()
                sys.exit(GatewayProcesses(host, port, processes, drain, relay).run())
        except PortUnavailable as error:
            raise CommandError(str(error)) from error

    @staticmethod
    def _choose_host(host: str, port: int) -> str:
        """Returns the address to bind. Raises PortUnavailable.

        If SECRET_KEY is the published one, an empty `host` means the loopback address, so that no other machine can
        connect.
        """
        has_published_key = settings.SECRET_KEY == settings.PUBLISHED_SECRET_KEY
        if has_published_key and not host:
            advice = "set SECRET_KEY, or name a host in APP_PORT"
            log.warning(f"listening on this machine only, because SECRET_KEY is the published one: {advice}")
        return resolve_host(host, port, loopback=has_published_key)

    @staticmethod
    def _serve(listener: socket.socket, parent: int, shared_counts: SharedCounts | None, relay: str) -> None:
        # Imported here because Daphne installs Twisted's reactor, which no other command and no parent needs.
        from stockwatch.serving.server import run_server
        from stockwatch.serving.wiring import share_counts, use_relay

        if shared_counts is not None:
            share_counts(shared_counts)
        use_relay(relay)
        run_server(listener, parent if shared_counts is not None else None)


def parse_shared_counts(worker: str, shared: str) -> SharedCounts:
    """Returns the SharedCounts of a child process from its arguments `--worker` and `--shared`.

    `worker` contains the number of the child and the number of children: `0/4` is the first of four. `shared` contains
    the file descriptor of the shared memory and the folder with the metrics, such as `7:/tmp/counts`.
    """
    slot, _, count = worker.partition("/")
    memory, _, folder = shared.partition(":")
    return SharedCounts(int(memory), folder, slots=int(count), slot=int(slot))
