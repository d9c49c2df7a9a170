"""The Channels consumer of `/ws`: checks before the upgrade, then events in, and nothing else.

It has no channel of its own: prices come from the hub of the process. Events are handled without Channels' dispatch,
which would hop through a thread for each of them to look after database connections that are not used here.
"""

from typing import Any

from channels.consumer import AsyncConsumer

from watchlist.gateway.fanout.delivery import Delivery
from watchlist.gateway.fanout.outbox import Outbox
from watchlist.gateway.gateway import Gateway
from watchlist.gateway.sockets.admission import Admitted, Refusal, admit
from watchlist.gateway.sockets.session import Session
from watchlist.gateway.sockets.transport import EXTENSION, DaphneTransport, Receive, Scope, Send, SendTransport, refuse


class GatewayConsumer(AsyncConsumer):  # type: ignore[misc]
    """One connection. `gateway` is the process's one."""

    channel_layer_alias = "none of its own"

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        gateway = self.gateway
        gateway.pending += 1
        try:
            result = await admit(gateway, scope)
            if isinstance(result, Refusal):
                gateway.counts.refused[result.reason] += 1
                await refuse(scope, receive, send, result.status, result.code, result.retry_after)
                return
            session = await self._accept(scope, receive, send, result)
        finally:
            gateway.pending -= 1
        if session is not None:
            try:
                await self._converse(session, receive)
            finally:
                gateway.end_session(session)

    async def _accept(self, scope: Scope, receive: Receive, send: Send, admitted: Admitted) -> Session | None:
        await receive()  # websocket.connect
        await send({"type": "websocket.accept"})
        gateway = self.gateway
        found = scope.get("extensions", {}).get(EXTENSION)

        def drain() -> None:
            outbox.drain()

        transport: DaphneTransport | SendTransport
        if found is not None:
            if not found.transport.connected:
                return None
            transport = DaphneTransport(found, drain)
        else:
            transport = SendTransport(send, drain)
        gateway.fast, gateway.pings = transport.fast, transport.fast
        delivery = Delivery(batch=admitted.wishes.batch)
        outbox = Outbox(transport, gateway.now, delivery, gateway.limits.send_buffer)
        session = gateway.open_session(outbox, admitted.wishes, admitted.visit, admitted.stranger)
        if isinstance(transport, DaphneTransport):
            transport.listen(
                on_frame=lambda: session.receive_frame(gateway.now()),
                on_ping=lambda payload: session.receive_ping(payload, gateway.now()),
                on_pong=lambda: session.note_pong(gateway.now()),
            )
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
