"""Runs a gateway in this process, and clients that speak ASGI to the gateway."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from channels.testing import ApplicationCommunicator
from redis.asyncio import Redis

from stockwatch.local.redis_server import RedisServer
from watchlist.gateway.catalog import Catalog, Listing
from watchlist.gateway.clock import Clock
from watchlist.gateway.fanout.channel_layer import PricesChannelLayer
from watchlist.gateway.gateway import Gateway
from watchlist.gateway.limits import Limits
from watchlist.gateway.sockets.asgi import Send
from watchlist.gateway.sockets.daphne_transport import AttachTransport
from watchlist.gateway.sockets.routing import route_sockets

EVENT_TIMEOUT_SECONDS = 60


async def load_listings() -> list[Listing]:
    return [Listing("AAPL", "Apple", 100.0), Listing("GOOG", "Alphabet", 200.0)]


class Listings:
    """The rows of tickers in a database. `load` fails while `readable` is False."""

    def __init__(self, readable: bool = True) -> None:
        self.readable = readable

    async def load(self) -> list[Listing]:
        if not self.readable:
            raise OSError("no database")
        return await load_listings()


class LocalGateway:
    """A gateway in this process, connected to a real Redis."""

    def __init__(
        self,
        server: RedisServer,
        load: Callable[[], Awaitable[list[Listing]]] = load_listings,
        layer: Any = None,
        private: bool = False,
        clock: Clock | None = None,
        **limits: Any,
    ) -> None:
        hosts = [{"host": server.host, "port": server.port, "protocol": 2}]
        self._redis = Redis(host=server.host, port=server.port, protocol=2)
        self._layer = layer or PricesChannelLayer(hosts=hosts)
        self.gateway = Gateway(
            Limits(**{"rate_burst": 1000, **limits}),
            Catalog(),
            load,
            layer=lambda: self._layer,
            redis=lambda: self._redis,
            clock=clock,
            private=private,
        )
        self.application = route_sockets(self.gateway.admission, self.gateway.connections)

    def connect(self, path: str = "/ws", **scope: Any) -> ApplicationCommunicator:
        return ApplicationCommunicator(AttachTransport(self.application), make_scope(path, **scope))

    def run(self, send: Send, *texts: str) -> tuple["asyncio.Task[None]", "asyncio.Queue[Any]"]:
        """Runs a connection whose client sends `texts`. The gateway calls `send` with each of its own events.

        Returns two values: the task of the connection, and the queue of the client's events. The connection reads this
        queue.
        """
        events: asyncio.Queue[Any] = asyncio.Queue()
        events.put_nowait({"type": "websocket.connect"})
        for text in texts:
            events.put_nowait({"type": "websocket.receive", "text": text})
        return asyncio.ensure_future(self._serve(events, send)), events

    async def _serve(self, events: "asyncio.Queue[Any]", send: Send) -> None:
        await self.application(make_scope("/ws"), events.get, send)

    async def stop(self) -> None:
        await self.gateway.stop()
        await self._redis.aclose()


def make_scope(path: str, **more: Any) -> dict[str, Any]:
    scope = {"type": "websocket", "path": path, "headers": [], "query_string": b"", "client": ["127.0.0.1", 1]}
    return scope | more


async def begin(client: ApplicationCommunicator) -> dict[str, Any]:
    """Sends the connect event. Returns the first event of the application."""
    await client.send_input({"type": "websocket.connect"})
    return await client.receive_output(EVENT_TIMEOUT_SECONDS)


async def send_json(client: ApplicationCommunicator, value: Any) -> None:
    await client.send_input({"type": "websocket.receive", "text": json.dumps(value)})


async def receive_json(client: ApplicationCommunicator) -> Any:
    """Returns the next frame as a parsed JSON value."""
    event = await client.receive_output(EVENT_TIMEOUT_SECONDS)
    assert event["type"] == "websocket.send", event
    return json.loads(event["text"])


async def receive_event(client: ApplicationCommunicator) -> dict[str, Any]:
    return await client.receive_output(EVENT_TIMEOUT_SECONDS)


async def disconnect(client: ApplicationCommunicator) -> None:
    await client.send_input({"type": "websocket.disconnect", "code": 1000})
    await client.wait(EVENT_TIMEOUT_SECONDS)
