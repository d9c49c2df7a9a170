"""Daphne as `rungateway` runs it: a listening socket of our own, and an end that tells every client to come back.

Importing this installs Twisted's asyncio reactor.
"""

import os
import signal
import socket
from typing import Any

import structlog
from daphne.server import Server
from django.conf import settings
from twisted.internet import defer, reactor

from stockwatch.asgi import application
from stockwatch.serving.wiring import gateway

log = structlog.get_logger(__name__)

PARENT_EVERY = 1.0
CLOSE_WITHIN = 3.0
"""Seconds clients have for the closing handshake when the server goes."""


class GatewayServer(Server):  # type: ignore[misc]
    """Daphne's server on a socket that is already open, with an end of its own."""

    def __init__(self, listener: socket.socket, parent: int | None) -> None:
        super().__init__(
            application,
            endpoints=["a socket that is already open"],
            signal_handlers=False,
            ping_interval=10**9,  # the gateway pings by itself
            websocket_timeout=-1,
            websocket_handshake_timeout=10,
            server_name="stockwatch",
            ready_callable=self._listen,
        )
        self.endpoints: list[str] = []
        self._listener = listener
        self._parent = parent

    def _listen(self) -> None:
        self._listener.setblocking(False)
        self._port = reactor.adoptStreamPort(self._listener.fileno(), self._listener.family, self.http_factory)
        self._watch_parent()
        host, port = self._listener.getsockname()[:2]
        log.info("gateway listens", host=host, port=port)

    def _watch_parent(self) -> None:
        """One of several processes must not outlive the parent that would replace and end it."""
        if self._parent is not None and os.getppid() != self._parent:
            self.drain("end of the parent")
        else:
            reactor.callLater(PARENT_EVERY, self._watch_parent)

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
        self._port.stopListening()
        self._listener.close()
        drain = settings.GATEWAY_DRAIN.total_seconds()
        gateway.drain(drain)
        self._wait_closed(drain + CLOSE_WITHIN)

    def _wait_closed(self, seconds: float) -> None:
        if not gateway.sessions or seconds <= 0:
            log.info("gateway stopped", connections_left=len(gateway.sessions))
            self.stop()
        else:
            reactor.callLater(0.05, self._wait_closed, seconds - 0.05)


def run_server(listener: socket.socket, parent: int | None = None) -> None:
    """Serves until SIGTERM, SIGINT or the end of the parent; a second signal stops at once. The socket listens."""
    server = GatewayServer(listener, parent)

    def on_signal(number: int, _frame: object) -> None:
        reactor.callFromThread(server.drain, signal.Signals(number).name)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    server.run()
