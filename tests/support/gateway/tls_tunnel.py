"""Forwards a TCP port without TLS to a TLS port, for clients without TLS.

Some clients with TLS read and write in two threads, which share one OpenSSL object. This object is not thread-safe, so
that the first request of such a client may be lost under load. The tunnel reads and writes in one thread.
"""

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

BUFFER_BYTES = 4096
"""The size of each buffer in bytes. The buffers are small, so that the gateway notices a client that does not read."""


class TlsTunnel:
    """Forwards bytes between `port`, which is without TLS, and the TLS port `target`, until `close` is called."""

    def __init__(self, port: int, target: int, context: ssl.SSLContext) -> None:
        self._context = context
        self._target = target
        listening = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(port, listening)))
        self._thread.start()
        assert listening.wait(60), f"the tunnel did not open port {port}"

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._closed.set)
        self._thread.join()

    async def _serve(self, port: int, listening: threading.Event) -> None:
        self._loop, self._closed = asyncio.get_running_loop(), asyncio.Event()
        listener = make_small_socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        async with await asyncio.start_server(self._forward_connection, sock=listener, limit=BUFFER_BYTES):
            listening.set()
            await self._closed.wait()

    async def _forward_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with closing(writer):
            target = make_small_socket()
            try:
                await asyncio.get_running_loop().sock_connect(target, ("127.0.0.1", self._target))
            except OSError:
                target.close()
                raise
            target_reader, target_writer = await asyncio.open_connection(
                sock=target, ssl=self._context, server_hostname="127.0.0.1", limit=BUFFER_BYTES
            )
            async with closing(target_writer):
                await asyncio.gather(forward(reader, target_writer), forward(target_reader, writer))


def make_small_socket() -> socket.socket:
    """Returns a non-blocking socket with small kernel buffers."""
    small = socket.socket()
    small.setblocking(False)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        small.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
    return small


@asynccontextmanager
async def closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Aborts the connection at the end of the block. Ignores errors of the connection."""
    with suppress(OSError, asyncio.CancelledError):
        try:
            yield
        finally:
            writer.transport.abort()


async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Forwards bytes until the reader ends or the writer fails."""
    try:
        writer.transport.set_write_buffer_limits(BUFFER_BYTES)
        while data := await reader.read(BUFFER_BYTES):
            writer.write(data)
            await writer.drain()
    except OSError:
        writer.transport.abort()
    else:
        writer.close()
