"""Runs a front in this process, and connects clients to the front over real sockets."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from stockwatch.serving.connection_limit import ConnectionLimit
from tests.support.gateway.fakes import FakeClock
from tests.support.gateway.raw_socket import make_upgrade
from tests.support.waiting import until
from watchlist.gateway.front.front import Front
from watchlist.gateway.gateway import Gateway

TIMEOUT_SECONDS = 60
READ_BYTES = 64 * 1024


class LocalFront:
    """A front on its own port. The clock of its gateway stands still until `advance` is called.

    There is no HTTP server. `handed_over` holds the open sockets that the front would hand over to an HTTP server.
    """

    def __init__(self, gateway: Gateway, clock: FakeClock, limit: ConnectionLimit) -> None:
        self.gateway = gateway
        self.handed_over: list[socket.socket] = []
        self._clock = clock
        self._limit = limit
        self._clients: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.front = Front(
            self.listener,
            gateway.admission,
            gateway.connections,
            limit,
            self.handed_over.append,
            asyncio.get_running_loop(),
        )

    @property
    def sessions(self) -> int:
        return len(self.gateway.sessions)

    def http_count(self) -> int:
        """Returns how many HTTP connections of 127.0.0.1, the address of the clients, the limit counts."""
        return self._limit.counts.count("127.0.0.1")

    async def dial(self, data: bytes = b"") -> socket.socket:
        """Connects a client and sends `data`."""
        client = socket.socket()
        client.setblocking(False)
        self._clients.append(client)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, self.listener.getsockname())
        await loop.sock_sendall(client, data)
        return client

    async def upgrade(self, path: str = "/ws", more: bytes = b"") -> socket.socket:
        """Connects a client and waits until the upgrade is accepted. `more` is sent after the upgrade request."""
        client = await self.dial(make_upgrade("a", path) + more)
        head = await read_until(client, b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101"), head
        return client

    async def advance(self, seconds: float) -> None:
        """Sets the clock forward. Then the gateway and the front end the connections whose time limit has passed."""
        self._clock.seconds += seconds
        self.gateway.connections.sweep()
        self.front.unread.sweep()
        self.front.lingering.sweep()

    async def is_empty(self) -> None:
        """Waits until the front holds no connection."""
        await until(lambda: not (self.sessions or len(self.front.unread) or len(self.front.lingering)))

    def stop(self) -> None:
        for session in list(self.gateway.sessions):
            session.outbox.transport.abort()
        self.front.stop()
        for sock in (*self._clients, *self.handed_over, self.listener):
            sock.close()


async def read(client: socket.socket, count: int) -> bytes:
    """Returns the next `count` bytes. Returns fewer bytes if the connection ends before."""
    data = b""
    while len(data) < count and (more := await _receive(client, min(READ_BYTES, count - len(data)))):
        data += more
    return data


async def read_until(client: socket.socket, end: bytes) -> bytes:
    """Returns the bytes up to and including `end`. If the connection ends before, returns the bytes up to its end."""
    data = b""
    while not data.endswith(end) and (more := await _receive(client, 1)):
        data += more
    return data


async def read_all(client: socket.socket) -> bytes:
    """Returns all bytes up to the end of the connection."""
    return await read(client, 2**30)


async def _receive(client: socket.socket, count: int) -> bytes:
    receive: Awaitable[bytes] = asyncio.get_running_loop().sock_recv(client, count)
    return await asyncio.wait_for(receive, TIMEOUT_SECONDS)


StartFront = Callable[..., LocalFront]
