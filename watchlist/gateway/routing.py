"""Which WebSocket path is what: `/ws` is the gateway, nothing else is anything."""

from watchlist.gateway.consumers import GatewayConsumer
from watchlist.gateway.gateway import Gateway
from watchlist.gateway.protocol import Close
from watchlist.gateway.transport import Application, Receive, Scope, Send, refuse


def route_sockets(gateway: Gateway) -> Application:
    """The application for scopes of type websocket."""
    consumer = GatewayConsumer.as_asgi(gateway=gateway)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].rstrip("/") == "/ws":
            await consumer(scope, receive, send)
        else:
            await refuse(scope, receive, send, 404, Close.BAD_REQUESTS)

    return application
