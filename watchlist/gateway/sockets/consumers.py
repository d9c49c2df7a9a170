"""Defines the Channels consumer that handles the connections to `/ws`."""

from typing import Any

from channels.consumer import AsyncConsumer
from structlog.contextvars import bound_contextvars

from watchlist.gateway.fanout.delivery import Delivery
from watchlist.gateway.fanout.outbox import Outbox
from watchlist.gateway.metrics import ACCEPT_SECONDS
from watchlist.gateway.sockets.access_lines import (
    NO_CLOSE_CODE,
    SOCKET,
    ConnectionAccess,
    access_lines,
    choose_connection_id,
)
from watchlist.gateway.sockets.admission import Admission, Admitted, open_session
from watchlist.gateway.sockets.asgi import ConnectionRequest, Receive, Scope, Send
from watchlist.gateway.sockets.connections import Connections
from watchlist.gateway.sockets.daphne_transport import EXTENSION, DaphneTransport
from watchlist.gateway.sockets.refusal import Refusal, refuse
from watchlist.gateway.sockets.send_transport import SendTransport
from watchlist.gateway.sockets.session import Session


class GatewayConsumer(AsyncConsumer):  # type: ignore[misc]
    """Handles one connection from its upgrade request to its end."""

    # No channel layer has this alias. With the default alias, Channels would subscribe to a channel per connection.
    channel_layer_alias = "not configured"

    def __init__(self, admission: Admission, connections: Connections) -> None:
        self._admission = admission
        self._connections = connections

    # Replaces the dispatch of Channels, which switches to a thread at each event to close database connections.
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = ConnectionRequest.from_scope(scope)
        access = ConnectionAccess(choose_connection_id(request, self._connections.context.limits))
        now = self._connections.context.clock.now
        began_at = now()
        with bound_contextvars(connection_id=access.connection_id):
            with self._connections.pending():
                result = await self._admission.check_request(request)
                if isinstance(result, Refusal):
                    self._note_refusal(request, access.connection_id, result)
                    await refuse(scope, receive, send, result)
                    return
                session = await self._accept(scope, receive, send, result)
                ACCEPT_SECONDS.observe(now() - began_at)
            if session is not None:
                await self._serve(session, receive, access)

    def _note_refusal(self, request: ConnectionRequest, connection_id: str, refusal: Refusal) -> None:
        context = self._connections.context
        context.counts.refused[refusal.reason] += 1
        access_lines.note_refusal(SOCKET, request, connection_id, context.limits, refusal.status, refusal.reason)

    async def _serve(self, session: Session, receive: Receive, access: ConnectionAccess) -> None:
        try:
            await self._read_events(session, receive, access)
        finally:
            self._connections.end(session)
            access_lines.note_end(SOCKET, session, access)

    async def _accept(self, scope: Scope, receive: Receive, send: Send, admitted: Admitted) -> Session | None:
        """Accepts the upgrade. Returns the new session, or None if the connection has already ended."""
        await receive()  # the event websocket.connect
        await send({"type": "websocket.accept"})
        protocol = scope.get("extensions", {}).get(EXTENSION)
        if protocol is not None and not protocol.transport.connected:
            return None

        def resume() -> None:
            outbox.resume()

        transport = SendTransport(send, resume) if protocol is None else DaphneTransport(protocol, resume)
        context = self._connections.context
        context.counts.direct_writes = transport.direct
        delivery = Delivery(batch=admitted.options.batch)
        outbox = Outbox(transport, context.clock.now, delivery, context.limits.send_buffer, context.hub.counts)
        session = open_session(self._connections, outbox, admitted)
        if isinstance(transport, DaphneTransport):
            now = context.clock.now
            transport.listen(
                on_frame=lambda: session.count_frame(now()),
                on_ping=lambda payload: session.receive_ping(payload, now()),
                on_pong=lambda: session.receive_pong(now()),
            )
        return session

    async def _read_events(self, session: Session, receive: Receive, access: ConnectionAccess) -> None:
        now = self._connections.context.clock.now
        while True:
            event: Any = await receive()
            if event["type"] == "websocket.disconnect":
                access.code = event.get("code") or NO_CLOSE_CODE
                return
            access.messages += 1
            if event.get("text") is not None:
                session.receive_text(event["text"], now())
            else:
                session.receive_bytes(now())
