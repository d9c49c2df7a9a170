"""A plain port of this machine in front of a TLS one, so that every client of the tests speaks to both alike.

Clients with a thread for reading and one for writing share one OpenSSL object, which is not made for that: under load
the first request of such a client may get lost. Here one thread does both.
"""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

BUFFER = 4096
"""Bytes the tunnel holds at each of its ends, so that a client who does not read is felt behind it."""


class Tunnel:
    """Bytes between `port` and `target`, a TLS port; starts at once and ends with `close`."""

    def __init__(self, port: int, target: int, context: ssl.SSLContext) -> None:
        self._context = context
        self._target = target
        listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(port, listening)))
        self._thread.start()
        assert listening.wait(10), f"port {port} of the tunnel does not open"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    async def _serve(self, port: int, listening: threading.Event) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        listener = small_socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        async with await asyncio.start_server(self._join, sock=listener, limit=BUFFER):
            listening.set()
            await self._over.wait()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with closing(writer):
            line = small_socket()
            try:
                await asyncio.get_running_loop().sock_connect(line, ("127.0.0.1", self._target))
            except OSError:
                line.close()
                raise
            behind, before = await asyncio.open_connection(
                sock=line, ssl=self._context, server_hostname="127.0.0.1", limit=BUFFER
            )
            async with closing(before):
                await asyncio.gather(pump(reader, before), pump(behind, writer))


def small_socket() -> socket.socket:
    line = socket.socket()
    line.setblocking(False)
    for buffer in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        line.setsockopt(socket.SOL_SOCKET, buffer, BUFFER)
    return line


@asynccontextmanager
async def closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    with suppress(OSError, asyncio.CancelledError):
        try:
            yield
        finally:
            writer.transport.abort()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hands on what comes until it ends or the other side is gone."""
    try:
        writer.transport.set_write_buffer_limits(BUFFER)
        while data := await reader.read(BUFFER):
            writer.write(data)
            await writer.drain()
    except OSError:
        writer.transport.abort()
    else:
        writer.close()
