"""A WebSocket client that sends and receives plain bytes.

Tests also send bytes that no client library would send.
"""

import re
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.gateway.process import GatewayProcess

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
DROPPED = 1006
COMPRESSED = 0x40
"""The bit RSV1 in the first byte of a frame."""


def make_frame(
    opcode: int, payload: bytes = b"", *, final: bool = True, masked: bool = True, reserved: int = 0
) -> bytes:
    """Returns the bytes of a client's frame. The masking key is zero, so that the payload stays readable."""
    first = (0x80 if final else 0) | reserved << 4 | opcode
    mask, key = (0x80, bytes(4)) if masked else (0, b"")
    if len(payload) < 126:
        head = bytes((first, mask | len(payload)))
    elif len(payload) < 65536:
        head = bytes((first, mask | 126)) + len(payload).to_bytes(2, "big")
    else:
        head = bytes((first, mask | 127)) + len(payload).to_bytes(8, "big")
    return head + key + payload


def make_upgrade(host: str, path: str = "/ws", *headers: str) -> bytes:
    """Returns the upgrade request of a WebSocket handshake."""
    lines = [
        *(f"GET {path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade"),
        *("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", *headers),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class RawClient:
    """A socket and the bytes that were received but not read yet."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._unread = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send_text(self, text: str | bytes) -> None:
        self.send(make_frame(TEXT, text.encode() if isinstance(text, str) else text))

    def send_until_closed(self, data: bytes) -> None:
        """Sends the data again and again. Raises OSError when the connection is closed."""
        while True:
            self.send(data)

    def read_head(self) -> tuple[int, str]:
        """Reads the head of the response to a handshake. Returns the status code and the text of the head."""
        while b"\r\n\r\n" not in self._unread:
            more = self.sock.recv(65536)
            assert more, f"the response to the handshake ends after {self._unread!r}"
            self._unread += more
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        found = re.match(rb"HTTP/1.1 (\d+)", head)
        assert found
        return int(found[1]), head.decode("latin-1")

    def read_frame(self) -> tuple[int, bytes] | None:
        """Returns the opcode and the decompressed payload of the next frame; None if the connection has ended."""
        head = self._read(2)
        if head is None:
            return None
        length = head[1]
        if length > 125:
            more = self._read(2 if length == 126 else 8)
            length = int.from_bytes(more or b"", "big")
        payload = self._read(length)
        if payload is not None and head[0] & COMPRESSED:
            payload = zlib.decompressobj(-zlib.MAX_WBITS).decompress(payload + b"\x00\x00\xff\xff")
        return None if payload is None else (head[0] & 15, payload)

    def read_close(self) -> int:
        """Reads up to the close frame and returns the close code.

        Returns DROPPED if there is no close frame.
        """
        while (found := self.read_frame()) is not None:
            if found[0] == CLOSE:
                return int.from_bytes(found[1][:2], "big")
        return DROPPED

    def read_text(self) -> str:
        """Returns the text of the next text frame."""
        while (found := self.read_frame()) is not None:
            assert found[0] != CLOSE, f"closed with {int.from_bytes(found[1][:2], 'big')}"
            if found[0] == TEXT:
                return found[1].decode()
        raise AssertionError("the connection has ended")

    def _read(self, count: int) -> bytes | None:
        while len(self._unread) < count:
            try:
                more = self.sock.recv(65536)
            except (ConnectionResetError, BrokenPipeError):
                return None
            if not more:
                return None
            self._unread += more
        data, self._unread = self._unread[:count], self._unread[count:]
        return data


@contextmanager
def dial(gateway: GatewayProcess, receive_buffer: int = 0) -> Iterator[RawClient]:
    """Opens a TCP connection and sends nothing."""
    with socket.socket() as sock:
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(60)
        sock.connect(("127.0.0.1", gateway.port))
        yield RawClient(sock)


@contextmanager
def upgrade(gateway: GatewayProcess, *headers: str, path: str = "/ws", receive_buffer: int = 0) -> Iterator[RawClient]:
    """Opens a WebSocket. After the handshake, the client sends only what the test sends."""
    with dial(gateway, receive_buffer) as client:
        client.send(make_upgrade(gateway.address, path, *headers))
        status, head = client.read_head()
        assert status == 101, head
        yield client
