"""Runs the web server of a gateway process for `rungateway`.

`Front` accepts all connections, serves the WebSockets at `/ws`, and hands all other connections over to Daphne. Before
the server stops, it drains: it closes the clients' sockets in an orderly way. The import of this module installs
Twisted's asyncio reactor.
"""

import asyncio
import os
import signal
import socket
from typing import Any

import structlog
from daphne.server import Server
from django.conf import settings
from twisted.internet import defer, reactor

from stockwatch.asgi import application
from stockwatch.serving.ports import BACKLOG, KERNEL_BALANCES, stop_listening
from stockwatch.serving.wiring import gateway, http_connections
from watchlist.gateway.front.front import NO_FILE, NO_ROOM, Front

log = structlog.get_logger(__name__)

PARENT_CHECK_SECONDS = 1.0
CLOSE_TIMEOUT_SECONDS = 3.0
"""How long clients have for the closing handshake when the server stops."""
DRAIN_CHECK_SECONDS = 0.05
SAVE_METRICS_SECONDS = 1.0


class GatewayServer(Server):  # type: ignore[misc]
    """Daphne's server with a `Front`, which accepts all connections.

    `listener` is a bound socket. `parent` is the id of the parent process; None means that there is no parent to watch.
    The server drains and stops when the parent has died.
    """

    def __init__(self, listener: socket.socket, parent: int | None) -> None:
        super().__init__(
            application,
            endpoints=["an open socket"],
            signal_handlers=False,
            ping_interval=10**9,  # the gateway sends pings itself
            websocket_timeout=-1,
            websocket_handshake_timeout=10,
            server_name="stockwatch",
            ready_callable=self._listen,
        )
        self.endpoints: list[str] = []
        self._listener = listener
        self._parent = parent

    def _listen(self) -> None:
        self.http_factory.doStart()  # Twisted does this for a port.
        self._front = Front(
            self._listener,
            gateway.admission,
            gateway.connections,
            http_connections,
            self._hand_over,
            asyncio.get_event_loop(),
        )
        self._listener.listen(BACKLOG)
        self._watch_parent()
        self._save_metrics()
        reactor.callLater(0, gateway.follow_operators)  # the event loop does not run yet
        host, port = self._listener.getsockname()[:2]
        log.info("gateway listening", host=host, port=port)

    def _hand_over(self, sock: socket.socket) -> None:
        """Hands a client's connection over to Daphne, then closes `sock`. Daphne keeps a duplicate of the socket."""
        with sock:
            try:
                reactor.adoptStreamConnection(sock.fileno(), sock.family, self.http_factory)
            except OSError as error:  # the client has left, or no file descriptor is free
                if error.errno in NO_ROOM:
                    gateway.counts.refused[NO_FILE] += 1

    def _watch_parent(self) -> None:
        if self._parent is not None and os.getppid() != self._parent:
            self.drain("parent exited")  # without a parent, nothing would replace or stop this process
        else:
            reactor.callLater(PARENT_CHECK_SECONDS, self._watch_parent)

    def _save_metrics(self) -> None:
        """Stores the metrics of this process once per second, so that the other processes can add them up."""
        try:
            gateway.save_metrics()
        except Exception:
            log.exception("metrics not stored")
        reactor.callLater(SAVE_METRICS_SECONDS, self._save_metrics)

    def kill_all_applications(self) -> Any:
        """Cancels the applications of all connections."""
        # Daphne's own method raises KeyError if an application has finished in the meantime.
        for details in self.connections.values():
            if task := details.get("application_instance"):
                task.cancel()
        return defer.succeed(None)

    def drain(self, reason: str) -> None:
        """Stops accepting connections, closes all WebSockets, and stops the server.

        The WebSockets are closed with code 4001, one after another. A second call stops the server immediately.
        """
        if gateway.closing:
            self.stop()
            return
        self._front.stop_accepting()
        if self._parent is not None and KERNEL_BALANCES:
            stop_listening(self._listener)  # The parent keeps the socket, and the kernel would go on filling its queue.
        self._listener.close()
        seconds = gateway.drain(settings.GATEWAY_DRAIN.total_seconds(), settings.GATEWAY_MAX_DRAIN.total_seconds())
        log.info("gateway stopping", reason=reason, connections=len(gateway.sessions), seconds=round(seconds, 1))
        self._stop_when_closed(seconds + CLOSE_TIMEOUT_SECONDS)

    def _stop_when_closed(self, seconds_left: float, was_idle: bool = False) -> None:
        """Stops the server when two checks in a row find nothing left to serve, or after `seconds_left` seconds."""
        # Between two checks, Daphne reads the connections that it was given last, and sends its newest responses.
        is_idle = self._is_idle
        if (is_idle and was_idle) or seconds_left <= 0:
            log.info("gateway stopped", connections_left=len(gateway.sessions))
            self.stop()
        else:
            reactor.callLater(DRAIN_CHECK_SECONDS, self._stop_when_closed, seconds_left - DRAIN_CHECK_SECONDS, is_idle)

    @property
    def _is_idle(self) -> bool:
        has_requests = any("disconnected" not in details for details in self.connections.values())
        return not gateway.sessions and self._front.is_idle and not has_requests


def run_server(listener: socket.socket, parent: int | None = None) -> None:
    """Serves on a bound socket until SIGTERM, SIGINT or the exit of the parent.

    `parent` is the id of the parent process; None means that there is no parent to watch. A second signal stops the
    server immediately.
    """
    server = GatewayServer(listener, parent)

    def on_signal(number: int, _frame: object) -> None:
        reactor.callFromThread(server.drain, signal.Signals(number).name)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    server.run()
