"""Fakes of the gateway's clock, transport and channel layer.

The fakes have the same contracts as the real objects. tests/watchlist/gateway/fanout/test_price_layer.py tests the fake
layer and the real layer.
"""

import asyncio
import zlib
from collections.abc import Callable

from watchlist.gateway import framing
from watchlist.gateway.clock import Clock
from watchlist.gateway.deflate.compressor import COMPRESSED_TEXT
from watchlist.gateway.fanout.price_layer import Receiver


class FakeClock(Clock):
    """A clock that stands still until a test sets it."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu = 0.0
        self.micros = 1_766_480_000_000_000

    def now(self) -> float:
        return self.seconds

    def cpu_seconds(self) -> float:
        return self.cpu

    def cpu_wait_seconds(self) -> float:
        return 0.0

    def unix_micros(self) -> int:
        return self.micros


class FakeTransport:
    """A transport in memory. After `room` bytes, the transport is full until `make_room` is called.

    If `room` is None, the transport is never full.
    """

    direct = True

    def __init__(self, room: int | None = None) -> None:
        self.room = room
        self.wire = b""
        self.rest = b""
        self.waiting = False
        self.pings = 0
        self.codes: list[int] = []
        self.aborted = False
        self.released = False
        self.on_writable: Callable[[], None] = lambda: None

    def write(self, block: bytes) -> int:
        assert not self.waiting, "a stalled outbox must not write"
        sent = len(block) if self.room is None else min(self.room, len(block))
        self.wire += block[:sent]
        if self.room is not None:
            self.room -= sent
        return sent

    def finish(self, rest: bytes) -> None:
        assert not self.waiting
        self.rest, self.waiting = rest, True

    def make_room(self, room: int | None = None) -> None:
        """Simulates a peer that reads: sends the waiting bytes, then calls `on_writable`."""
        self.room = room
        if self.waiting:
            self.wire += self.rest
            self.rest, self.waiting = b"", False
            self.on_writable()

    def send_ping(self) -> None:
        self.pings += 1

    def close(self, code: int) -> None:
        self.codes.append(code)

    def abort(self) -> None:
        self.aborted = True

    def release(self) -> None:
        self.released = True

    @property
    def frames(self) -> list[bytes]:
        """All frames that the client has received."""
        return framing.split_frames(self.wire)

    @property
    def payloads(self) -> list[bytes]:
        """The payloads of all frames that the client has received, decompressed."""
        return [inflate_payload(frame) for frame in self.frames]


def inflate_payload(frame: bytes) -> bytes:
    """Returns the payload of a text frame. Decompresses a compressed payload without the earlier messages."""
    payload = framing.frame_payload(frame)
    if frame[0] != COMPRESSED_TEXT:
        return payload
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    return stream.decompress(payload + b"\x00\x00\xff\xff")


class FakePriceLayer:
    """A channel layer in memory. `publish` and `disconnect` simulate Redis."""

    lost_nodes = ()

    def __init__(self) -> None:
        self.groups: set[str] = set()
        self.error: Exception | None = None
        """If an error is set, each call raises this error."""
        self.failures = 0
        self._receiver: Receiver | None = None
        self._on_disconnect: Callable[[], None] = lambda: None
        self._on_reconnect: Callable[[], None] = lambda: None

    def set_receiver(
        self, receiver: Receiver, on_disconnect: Callable[[], None], on_reconnect: Callable[[], None]
    ) -> None:
        self._receiver, self._on_disconnect, self._on_reconnect = receiver, on_disconnect, on_reconnect

    async def new_channel(self) -> str:
        await self._call_redis()
        return "channel"

    async def group_add(self, group: str, channel: str) -> None:
        await self._call_redis()
        self.groups.add(group)

    async def group_discard(self, group: str, channel: str) -> None:
        self.groups.discard(group)  # even if the command fails, as in the real layer
        await self._call_redis()

    async def flush(self) -> None:
        self.groups.clear()

    def publish(self, group: str, data: bytes) -> int:
        """Publishes a message. Returns how many subscribers received the message."""
        if group not in self.groups or self._receiver is None or self.error:
            return 0
        self._receiver(group.encode(), data)
        return 1

    def disconnect(self) -> None:
        """Simulates a loss of the connection to Redis."""
        self.error = ConnectionError("Redis is unavailable")
        self._on_disconnect()

    def reconnect(self) -> None:
        self.error = None
        self._on_reconnect()

    async def _call_redis(self) -> None:
        await asyncio.sleep(0)
        if self.error:
            self.failures += 1
            raise self.error
