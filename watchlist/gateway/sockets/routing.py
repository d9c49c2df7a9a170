"""Routes `/ws` and `/ws/status` to the gateway."""

from watchlist.gateway.sockets.admission import ANY_ORIGIN, Admission
from watchlist.gateway.sockets.asgi import Application, Receive, Scope, Send
from watchlist.gateway.sockets.connections import Connections
from watchlist.gateway.sockets.consumers import GatewayConsumer
from watchlist.gateway.sockets.refusal import NOT_FOUND, refuse


def route_sockets(admission: Admission, connections: Connections) -> Application:
    """Returns the ASGI application for WebSockets, which serves `/ws`. All other paths get 404."""
    consumer = GatewayConsumer.as_asgi(admission=admission, connections=connections)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].rstrip("/") == "/ws":
            await consumer(scope, receive, send)
        else:
            await refuse(scope, receive, send, NOT_FOUND)

    return application


def route_requests(admission: Admission, pages: Application) -> Application:
    """Returns the ASGI application for HTTP requests.

    The application answers requests to `/ws/status`. A request to `/ws` without an upgrade gets 426. The application
    `pages` answers all other requests.
    """

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/ws/status" and scope["method"] == "GET":
            await admission.answer_status(scope, receive, send)
        elif scope["path"] == "/ws/status" and scope["method"] == "OPTIONS":
            await send_empty(send, 204, [ANY_ORIGIN, (b"access-control-allow-methods", b"GET")])
        elif scope["path"].rstrip("/") == "/ws":
            await send_empty(send, 426, [(b"upgrade", b"websocket"), (b"connection", b"Upgrade")])
        else:
            await pages(scope, receive, send)

    return application


async def send_empty(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    length = [] if status == 204 else [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": b""})
