"""Accepts or refuses the upgrade requests that `Front` has parsed."""

import socket
from functools import partial
from typing import Any

from structlog.contextvars import bound_contextvars

from watchlist.gateway.front.connection import FrontConnection
from watchlist.gateway.front.extensions import Deflate, negotiate
from watchlist.gateway.front.handshake import Upgrade, accept_response, refusal_response
from watchlist.gateway.front.lingering import LingeringSockets, close_socket
from watchlist.gateway.metrics import ACCEPT_SECONDS
from watchlist.gateway.sockets.access_lines import SOCKET, access_lines, choose_connection_id
from watchlist.gateway.sockets.admission import Admission, Admitted
from watchlist.gateway.sockets.asgi import ConnectionRequest
from watchlist.gateway.sockets.connections import Connections
from watchlist.gateway.sockets.daphne_transport import NOTSENT_LOWAT_BYTES
from watchlist.gateway.sockets.refusal import PHRASES, Refusal
from watchlist.gateway.sockets.server_tuning import tune_server


class Upgrades:
    """Answers upgrade requests. The poller does not watch a socket while its request is checked."""

    def __init__(self, admission: Admission, connections: Connections, lingering: LingeringSockets) -> None:
        self._admission = admission
        self._connections = connections
        self._lingering = lingering
        compressor = connections.context.compressor
        self._deflate = None if compressor is None else Deflate(compressor)
        self._tuned = False

    def begin(self, sock: socket.socket, peer: Any, upgrade: Upgrade) -> None:
        """Removes the bytes of an upgrade request from the socket's input, then checks the request.

        The answer is sent when the check is done. The check may end after this method has returned.
        """
        self.tune()
        if not drop_request(sock, upgrade.size):
            return
        request = ConnectionRequest(upgrade.headers, upgrade.query, peer, is_socket=True)
        connection_id = choose_connection_id(request, self._connections.context.limits)
        self._connections.add_pending()
        arguments = (sock, upgrade, request, connection_id, self._connections.context.clock.now())
        with bound_contextvars(connection_id=connection_id):
            self._admission.begin(request, partial(self._answer, *arguments))

    def tune(self) -> None:
        """Calls `tune_server` at the first call. Later calls do nothing."""
        if not self._tuned:  # only now all modules are loaded
            self._tuned = True
            tune_server()

    def _answer(
        self,
        sock: socket.socket,
        upgrade: Upgrade,
        request: ConnectionRequest,
        connection_id: str,
        began_at: float,
        result: Admitted | Refusal,
    ) -> None:
        self._connections.remove_pending()
        if isinstance(result, Refusal):
            self._refuse(sock, request, connection_id, result)
            return
        extension = negotiate(upgrade.offered_extensions, result.options, self._deflate)
        response = accept_response(upgrade, extension.response if extension is not None else "", connection_id)
        if send_response(sock, response):
            context = self._connections.context
            ACCEPT_SECONDS.observe(context.clock.now() - began_at)
            counts = context.counts
            counts.direct_writes = True
            counts.compressed += extension is not None
            FrontConnection(sock, self._connections, self._lingering, extension, connection_id).start(result)

    def _refuse(self, sock: socket.socket, request: ConnectionRequest, connection_id: str, refusal: Refusal) -> None:
        context, status = self._connections.context, refusal.status
        context.counts.refused[refusal.reason] += 1
        access_lines.note_refusal(SOCKET, request, connection_id, context.limits, status, refusal.reason)
        response = refusal_response(status, PHRASES[status], refusal.retry_after, connection_id)
        self._lingering.add(sock, response, watched=False)


def drop_request(sock: socket.socket, size: int) -> bool:
    """Removes the bytes of a request from the socket's input.

    If the client has left, closes the socket and returns False.
    """
    try:
        sock.recv(size)
    except OSError:
        close_socket(sock)
        return False
    return True


def send_response(sock: socket.socket, response: bytes) -> bool:
    """Sends the head of the response that accepts a connection.

    If the client has left, closes the socket and returns False.
    """
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_NOTSENT_LOWAT"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES)
        if sock.send(response) == len(response):  # The buffer of a new socket is empty.
            return True
    except OSError:
        pass  # the client has left
    close_socket(sock)
    return False
