"""Which path is the gateway's: the socket `/ws`, and the question `/ws/status` over HTTP."""

from watchlist.gateway.gateway import Gateway
from watchlist.gateway.protocol import Close
from watchlist.gateway.sockets.admission import answer_status
from watchlist.gateway.sockets.consumers import GatewayConsumer
from watchlist.gateway.sockets.transport import Application, Receive, Scope, Send, refuse


def route_sockets(gateway: Gateway) -> Application:
    """The application for scopes of type websocket: `/ws`, and nothing else is anything."""
    consumer = GatewayConsumer.as_asgi(gateway=gateway)

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].rstrip("/") == "/ws":
            await consumer(scope, receive, send)
        else:
            await refuse(scope, receive, send, 404, Close.BAD_REQUESTS)

    return application


def route_requests(gateway: Gateway, pages: Application) -> Application:
    """The application for scopes of type http: the status of the gateway, all else is the pages'."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/ws/status" and scope["method"] == "GET":
            await answer_status(gateway, scope, receive, send)
        else:
            await pages(scope, receive, send)

    return application
