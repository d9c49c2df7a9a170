"""Accepts or refuses the requests for streams that the front has parsed."""

import socket
from collections.abc import Callable
from functools import partial
from typing import Any

from watchlist.gateway.front.lingering import LingeringSockets
from watchlist.gateway.front.plain_request import PlainRequest
from watchlist.gateway.front.stream import FrontStream
from watchlist.gateway.front.upgrades import drop_request, send_response
from watchlist.gateway.metrics import ACCEPT_SECONDS
from watchlist.gateway.protocol import BadRequest
from watchlist.gateway.sockets.admission import Admission, Admitted, ConnectionRequest
from watchlist.gateway.sockets.connections import Connections
from watchlist.gateway.sockets.refusal import Refusal
from watchlist.gateway.streams.problem import Problem
from watchlist.gateway.streams.response_head import stream_headers, write_head, write_problem
from watchlist.gateway.streams.stream_query import StreamQuery, parse_stream_query
from watchlist.gateway.streams.stream_session import check_symbols


class Streams:
    """Answers requests for streams. The poller does not watch a socket while its request is checked.

    `tune` is called before each check. `Upgrades.tune` describes it.
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
        try:
            query = parse_stream_query(request.query, self._connections.context.limits.max_symbols)
        except BadRequest as error:
            self._refuse(sock, Problem(400, "query", error.message))
            return
        self._connections.add_pending()
        # The options of `/ws` have no meaning here, so the checks get no query.
        checked = ConnectionRequest(request.headers, b"", peer)
        origin, now = request.headers.get("origin"), self._connections.context.clock.now
        self._admission.begin(checked, partial(self._answer, sock, origin, query, now()))

    def _answer(
        self, sock: socket.socket, origin: str | None, query: StreamQuery, began_at: float, result: Admitted | Refusal
    ) -> None:
        self._connections.remove_pending()
        checked = check_symbols(self._connections, result, query)
        if isinstance(checked, Problem):
            self._refuse(sock, checked)
        elif send_response(sock, write_head(200, "OK", stream_headers(origin, self._admission.private))):
            ACCEPT_SECONDS.observe(self._connections.context.clock.now() - began_at)
            FrontStream(sock, self._connections, self._lingering).start(checked, query)

    def _refuse(self, sock: socket.socket, problem: Problem) -> None:
        self._connections.context.counts.refused[problem.reason] += 1
        self._lingering.add(sock, write_problem(problem), watched=False)
