"""Answers `/stream` over ASGI.

Under `rungateway`, the class `Front` serves most streams. This application serves the other streams, and all streams
under other servers.
"""

from dataclasses import replace

from structlog.contextvars import bound_contextvars

from watchlist.gateway.metrics import ACCEPT_SECONDS
from watchlist.gateway.protocol import BadRequest
from watchlist.gateway.sockets.access_lines import STREAM, ConnectionAccess, access_lines, choose_connection_id
from watchlist.gateway.sockets.admission import Admission, Admitted
from watchlist.gateway.sockets.asgi import Application, ConnectionRequest, Receive, Scope, Send
from watchlist.gateway.sockets.connections import Connections
from watchlist.gateway.streams.problem import WRONG_METHOD, Problem
from watchlist.gateway.streams.response_head import Headers, problem_headers, stream_headers
from watchlist.gateway.streams.response_transport import ResponseTransport
from watchlist.gateway.streams.stream_query import StreamQuery, parse_stream_query
from watchlist.gateway.streams.stream_session import StreamSession, check_symbols, open_stream


class StreamApplication:
    """An ASGI application for HTTP that wraps another application. Answers `/stream`, and passes on other requests."""

    def __init__(self, admission: Admission, connections: Connections, application: Application) -> None:
        self._admission = admission
        self._connections = connections
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].rstrip("/") != "/stream":
            await self._application(scope, receive, send)
            return
        request = ConnectionRequest.from_scope(scope)
        access = ConnectionAccess(choose_connection_id(request, self._connections.context.limits), code=None)
        with bound_contextvars(connection_id=access.connection_id):
            if scope["method"] != "GET":
                await self._refuse(send, WRONG_METHOD, request, access)
            else:
                await self._serve(request, access, receive, send)

    async def _serve(self, request: ConnectionRequest, access: ConnectionAccess, receive: Receive, send: Send) -> None:
        try:
            query = parse_stream_query(request.query, self._connections.context.limits.max_symbols)
        except BadRequest as error:
            await self._refuse(send, Problem(400, "query", error.message), request, access)
            return
        now = self._connections.context.clock.now
        began_at = now()
        with self._connections.pending():
            # The options of `/ws` have no meaning here, so the checks get no query.
            result = await self._admission.check_request(replace(request, query=b""))
            checked = check_symbols(self._connections, result, query)
            if isinstance(checked, Problem):
                await self._refuse(send, checked, request, access)
                return
            headers = stream_headers(request.headers.get("origin"), self._admission.private)
            headers.append(("X-Request-ID", access.connection_id))
            await send({"type": "http.response.start", "status": 200, "headers": encode_headers(headers)})
            ACCEPT_SECONDS.observe(now() - began_at)
            transport = ResponseTransport(send)
            session = self._open(transport, checked, query)
        try:
            await transport.run(receive)
        finally:
            self._connections.end(session)
            access_lines.note_end(STREAM, session, access)

    def _open(self, transport: ResponseTransport, admitted: Admitted, query: StreamQuery) -> StreamSession:
        session = open_stream(self._connections, transport, admitted, query)
        transport.outbox = session.outbox
        return session

    async def _refuse(self, send: Send, problem: Problem, request: ConnectionRequest, access: ConnectionAccess) -> None:
        context = self._connections.context
        context.counts.refused[problem.reason] += 1
        refused = request, access.connection_id, context.limits, problem.status, problem.reason
        access_lines.note_refusal(STREAM, *refused)
        body = problem.encode()
        headers = encode_headers([*problem_headers(problem, len(body)), ("X-Request-ID", access.connection_id)])
        await send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def encode_headers(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
