"""Accepts or refuses the requests for streams that `Front` has parsed."""

import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from structlog.contextvars import bound_contextvars

from watchlist.gateway.front.lingering import LingeringSockets
from watchlist.gateway.front.plain_request import PlainRequest
from watchlist.gateway.front.stream import FrontStream
from watchlist.gateway.front.upgrades import drop_request, send_response
from watchlist.gateway.metrics import ACCEPT_SECONDS
from watchlist.gateway.protocol import BadRequest
from watchlist.gateway.sockets.access_lines import STREAM, access_lines, choose_connection_id
from watchlist.gateway.sockets.admission import Admission, Admitted
from watchlist.gateway.sockets.asgi import ConnectionRequest
from watchlist.gateway.sockets.connections import Connections
from watchlist.gateway.sockets.refusal import Refusal
from watchlist.gateway.streams.problem import Problem
from watchlist.gateway.streams.response_head import stream_headers, write_head, write_problem
from watchlist.gateway.streams.stream_query import StreamQuery, parse_stream_query
from watchlist.gateway.streams.stream_session import check_symbols


class Streams:
    """Answers requests for streams. The poller does not watch a socket while its request is checked.

    `tune` is called before each check. `tune` is the method `Upgrades.tune`.
    """

    def __init__(
        self, admission: Admission, connections: Connections, lingering: LingeringSockets, tune: Callable[[], None]
    ) -> None:
        self._admission = admission
        self._connections = connections
        self._lingering = lingering
        self._tune = tune

    def begin(self, sock: socket.socket, peer: Any, request: PlainRequest) -> None:
        """Removes the bytes of the request from the socket's input, then checks the request.

        Sends the answer when the check is done: before this method returns, or later.
        """
        self._tune()
        if not drop_request(sock, request.size):
            return
        # `/stream` does not have the options of `/ws`, so the checks get an empty query.
        checked = ConnectionRequest(request.headers, b"", peer)
        connection_id = choose_connection_id(checked, self._connections.context.limits)
        try:
            query = parse_stream_query(request.query, self._connections.context.limits.max_symbols)
        except BadRequest as error:
            self._refuse(sock, checked, connection_id, Problem(400, "query", error.message))
            return
        self._connections.add_pending()
        arguments = (sock, checked, connection_id, query, self._connections.context.clock.now())
        with bound_contextvars(connection_id=connection_id):
            self._admission.begin(checked, partial(self._answer, *arguments))

    def _answer(
        self,
        sock: socket.socket,
        request: ConnectionRequest,
        connection_id: str,
        query: StreamQuery,
        began_at: float,
        result: Admitted | Refusal,
    ) -> None:
        self._connections.remove_pending()
        checked = check_symbols(self._connections, result, query)
        if isinstance(checked, Problem):
            self._refuse(sock, request, connection_id, checked)
            return
        headers = stream_headers(request.headers.get("origin"), self._admission.private)
        if send_response(sock, write_head(200, "OK", [*headers, ("X-Request-ID", connection_id)])):
            ACCEPT_SECONDS.observe(self._connections.context.clock.now() - began_at)
            FrontStream(sock, self._connections, self._lingering, connection_id).start(checked, query)

    def _refuse(self, sock: socket.socket, request: ConnectionRequest, connection_id: str, problem: Problem) -> None:
        context = self._connections.context
        context.counts.refused[problem.reason] += 1
        access_lines.note_refusal(STREAM, request, connection_id, context.limits, problem.status, problem.reason)
        self._lingering.add(sock, write_problem(problem, connection_id), watched=False)
