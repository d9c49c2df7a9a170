"""The Channels consumer of `/ws`: checks before the upgrade, then events in, and nothing else.

It has no channel of its own: prices come from the hub of the process. Events are handled without Channels' dispatch,
which would hop through a thread for each of them to look after database connections that are not used here.
"""

from typing import Any

import structlog
from channels.consumer import AsyncConsumer

from watchlist.gateway.delivery import Delivery
from watchlist.gateway.gateway import Gateway
from watchlist.gateway.limits import allows_origin, client_address
from watchlist.gateway.outbox import Outbox
from watchlist.gateway.protocol import BadRequest, Close, parse_query
from watchlist.gateway.session import Session
from watchlist.gateway.transport import (
    EXTENSION,
    DaphneTransport,
    Receive,
    Scope,
    Send,
    SendTransport,
    refuse,
)

log = structlog.get_logger(__name__)


class GatewayConsumer(AsyncConsumer):  # type: ignore[misc]
    """One connection. `gateway` is the process's one."""

    channel_layer_alias = "none of its own"

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self.gateway
        gateway.pending += 1
        try:
            refusal = await self._check(scope)
            if refusal:
                reason, status, code, retry_after = refusal
                gateway.counts.refused[reason] += 1
                await refuse(scope, receive, send, status, code, retry_after)
                return
            session = await self._accept(scope, receive, send)
        finally:
            gateway.pending -= 1
        if session is not None:
            try:
                await self._converse(session, receive)
            finally:
                gateway.end_session(session)

    async def _check(self, scope: Scope) -> tuple[str, int, int, int] | None:
        """Why this connection may not be: reason, status, close code and seconds to wait. Cheapest first."""
        gateway = self.gateway
        headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        if not allows_origin(origin.decode("latin-1") if origin is not None else None, gateway.limits.allowed_origins):
            return "origin", 403, Close.BAD_REQUESTS, 0
        try:
            parse_query(scope.get("query_string", b""))
        except BadRequest:
            return "query", 400, Close.BAD_REQUESTS, 0
        try:
            await gateway.start()
        except Exception as error:  # the database's errors differ by engine; nobody can be told what is valid
            log.warning("tickers cannot be read, a client was sent away", reason=type(error).__name__)
            return "no tickers", 503, Close.FULL, 5
        assert gateway.admission is not None  # noqa: S101 - start made it
        wait = await gateway.admission.wait_of(client_address(scope.get("client")))
        if wait:
            return "address rate", 429, Close.CROWDED, wait
        if gateway.closing:
            return "shutdown", 503, Close.SHUTDOWN, 1
        # This connection is among the pending ones itself.
        most = gateway.limits.max_connections
        if most and len(gateway.sessions) + gateway.pending > most:
            return "full", 429, Close.FULL, 5
        return None

    async def _accept(self, scope: Scope, receive: Receive, send: Send) -> Session | None:
        wishes = parse_query(scope.get("query_string", b""))
        await receive()  # websocket.connect
        await send({"type": "websocket.accept"})
        gateway = self.gateway
        found = scope.get("extensions", {}).get(EXTENSION)
        session: Session | None = None

        def drain() -> None:
            outbox.drain()

        def note_pong() -> None:
            if session is not None:
                session.note_pong(gateway.now())

        transport: DaphneTransport | SendTransport
        if found is not None:
            if not found.transport.connected:
                return None
            transport = DaphneTransport(found, drain, note_pong)
        else:
            transport = SendTransport(send, drain)
        gateway.fast, gateway.pings = transport.fast, transport.fast
        delivery = Delivery(batch=wishes.batch)
        outbox = Outbox(transport, gateway.now, delivery, gateway.limits.send_buffer)
        session = gateway.open_session(outbox, wishes)
        return session

    async def _converse(self, session: Session, receive: Receive) -> None:
        now = self.gateway.now
        while True:
            event: Any = await receive()
            if event["type"] == "websocket.disconnect":
                return
            if event.get("text") is not None:
                session.receive_text(event["text"], now())
            else:
                session.receive_bytes(now())
