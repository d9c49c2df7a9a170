"""Daphne as `rungateway` runs it: one-line refusals, and an end that tells every client to come back.

Importing this installs Twisted's asyncio reactor.
"""

import errno
import signal
import socket
from contextlib import suppress
from typing import Any

import structlog
from daphne.server import Server
from django.conf import settings
from twisted.internet import defer, reactor

from stockwatch.asgi import application
from stockwatch.wiring import gateway

log = structlog.get_logger(__name__)

BACKLOG = 4096
CLOSE_WITHIN = 3.0
"""Seconds clients have for the closing handshake when the server goes."""


class PortTaken(Exception):
    """Somebody else listens there, or the address is not ours."""


def check_port(host: str, port: int) -> None:
    """Raises PortTaken where a listener could not be opened."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            words = "is in use: stop what listens there, or set APP_PORT" if error.errno == errno.EADDRINUSE else ""
            raise PortTaken(f"{host or '*'}:{port} {words or error.strerror}") from error


def bind_host(host: str) -> str:
    """No host means all addresses: IPv6's wildcard takes IPv4 too, where the machine has IPv6."""
    if host:
        return host
    with suppress(PortTaken):
        check_port("::", 0)
        return "::"
    return "0.0.0.0"  # noqa: S104 - what an APP_PORT without a host asks for


class GatewayServer(Server):  # type: ignore[misc]
    """Daphne's server, but for its end."""

    def kill_all_applications(self) -> Any:
        """Daphne's own raises KeyError for a connection whose application has just finished."""
        for details in self.connections.values():
            if task := details.get("application_instance"):
                task.cancel()
        return defer.succeed(None)

    def drain(self, name: str) -> None:
        """Lets nobody in any more, closes every socket with 4001 over GATEWAY_DRAIN, and stops."""
        if gateway.closing:
            self.stop()
            return
        log.info("gateway is stopping", signal=name, connections=len(gateway.sessions))
        for listener in self.listeners:
            listener.addCallback(lambda port: port.stopListening())
        drain = settings.GATEWAY_DRAIN.total_seconds()
        gateway.close_all(drain)
        self._wait_closed(drain + CLOSE_WITHIN)

    def _wait_closed(self, seconds: float) -> None:
        if not gateway.sessions or seconds <= 0:
            log.info("gateway stopped", connections_left=len(gateway.sessions))
            self.stop()
        else:
            reactor.callLater(0.05, self._wait_closed, seconds - 0.05)


def run_server(host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT; a second signal stops at once. Raises PortTaken."""
    host = bind_host(host)
    check_port(host, port)
    interface = host.replace(":", "\\:")
    server = GatewayServer(
        application,
        endpoints=[f"tcp:port={port}:interface={interface}:backlog={BACKLOG}"],
        signal_handlers=False,
        ping_interval=10**9,  # the gateway pings by itself
        websocket_timeout=-1,
        websocket_handshake_timeout=10,
        server_name="stockwatch",
        ready_callable=lambda: log.info("gateway listens", host=host, port=port),
    )

    def on_signal(number: int, _frame: object) -> None:
        reactor.callFromThread(server.drain, signal.Signals(number).name)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    server.run()
