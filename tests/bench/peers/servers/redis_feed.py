"""Receives the updates that a publisher sends to Redis. Uses only the standard library."""

import asyncio
from collections.abc import Callable

CHANNELS = b"prices.*"


class RedisFeed(asyncio.Protocol):
    """Subscribes to all prices. Calls `on_update` with the symbol and the text of each update."""

    def __init__(self, on_update: Callable[[str, bytes], None]) -> None:
        self._on_update = on_update
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"PSUBSCRIBE " + CHANNELS + b"\r\n")

    def data_received(self, data: bytes) -> None:
        self._data += data
        position = 0
        while (end := self._find_end(position)) is not None:
            fields, position = end
            if fields[0] == b"pmessage":
                self._on_update(fields[2].partition(b".")[2].decode(), fields[3])
        self._data = self._data[position:]

    def _find_end(self, position: int) -> tuple[list[bytes], int] | None:
        """Reads the Redis array that begins at `position`. Returns its fields and the position of its end.

        Returns None if the array is not complete.
        """
        data, fields = self._data, []
        line_end = data.find(b"\r\n", position)
        if line_end < 0:
            return None
        count, position = int(data[position + 1 : line_end]), line_end + 2
        for _ in range(count):
            line_end = data.find(b"\r\n", position)
            if line_end < 0:
                return None
            is_text, size = data[position : position + 1] == b"$", int(data[position + 1 : line_end])
            position = line_end + 2
            if is_text:
                if len(data) < position + size + 2:
                    return None
                fields.append(data[position : position + size])
                position += size + 2
        return fields, position


async def follow(port: int, on_update: Callable[[str, bytes], None]) -> None:
    """Connects to Redis on this machine. Returns when the connection is open."""
    await asyncio.get_running_loop().create_connection(lambda: RedisFeed(on_update), "127.0.0.1", port)
