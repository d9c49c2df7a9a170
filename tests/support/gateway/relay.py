"""Runs a relay in this event loop, on a real Unix socket and a real Redis."""

import asyncio
import os
import socket
import tempfile
from pathlib import Path

from stockwatch.local.redis_server import RedisServer
from watchlist.gateway.fanout.channel_layer import PricesChannelLayer
from watchlist.gateway.relay.framing import PREAMBLE, FrameReader
from watchlist.gateway.relay.server import MAX_UNREAD_BYTES, Relay


def make_layer(server: RedisServer) -> PricesChannelLayer:
    """Returns a layer with its own connection to Redis."""
    return PricesChannelLayer(hosts=[{"host": server.host, "port": server.port, "protocol": 2}])


class LocalRelay:
    """A relay at `path`. It can be closed and started again; the socket waits meanwhile, as under `rungateway`."""

    def __init__(self, server: RedisServer, max_unread_bytes: int = MAX_UNREAD_BYTES) -> None:
        self._server = server
        self._folder = tempfile.TemporaryDirectory(prefix="relay-")
        self.path = str(Path(self._folder.name) / "relay")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(100)
        self.max_unread_bytes = max_unread_bytes
        self.relay: Relay | None = None

    async def start(self) -> "LocalRelay":
        self.relay = Relay(make_layer(self._server), self.max_unread_bytes)
        await self.relay.start(socket.socket(fileno=os.dup(self._listener.fileno())))
        return self

    async def close(self) -> None:
        """Ends the relay. New connections wait until the next `start`."""
        if self.relay is not None:
            await self.relay.close()
            self.relay = None

    def remove(self) -> None:
        self._listener.close()
        self._folder.cleanup()


class RawProcess:
    """The plain bytes of a gateway process's connection to a relay."""

    def __init__(self) -> None:
        self._frames: list[tuple[int, bytes]] = []
        self._reader = FrameReader()
        self.stream: asyncio.StreamReader
        self.writer: asyncio.StreamWriter

    async def open(self, path: str, preamble: bytes = PREAMBLE) -> "RawProcess":
        self.stream, self.writer = await asyncio.open_unix_connection(path)
        self.writer.write(preamble)
        return self

    async def receive(self, kind: int) -> bytes:
        """Skips frames of other kinds. Returns the content of the next frame of this kind."""
        while True:
            while self._frames:
                found, content = self._frames.pop(0)
                if found == kind:
                    return content
            data = await asyncio.wait_for(self.stream.read(65536), 60)
            assert data, "the relay has closed the connection"
            self._frames += self._reader.feed(data)

    async def read_to_end(self) -> None:
        """Waits until the relay has closed the connection."""
        try:
            while await asyncio.wait_for(self.stream.read(65536), 60):
                pass
        except ConnectionError:
            return

    def close(self) -> None:
        self.writer.close()
