"""A WebSocket client of bytes alone: it sends what no library would, and sees what really comes back."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.gateway.process import GatewayProcess

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
DROPPED = 1006


def make_frame(
    opcode: int, payload: bytes = b"", *, final: bool = True, masked: bool = True, reserved: int = 0
) -> bytes:
    """One frame as a client sends it; the mask is zeros, so that the payload can be read."""
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
    """The request of a handshake."""
    lines = [
        *(f"GET {path} HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade"),
        *("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", *headers),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class RawClient:
    """A socket, and what of its input was not consumed yet."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._kept = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def send_text(self, text: str | bytes) -> None:
        self.send(make_frame(TEXT, text.encode() if isinstance(text, str) else text))

    def send_without_end(self, data: bytes) -> None:
        """Ends only by the error that says that nobody listens any more."""
        while True:
            self.send(data)

    def read_head(self) -> tuple[int, str]:
        """Status and head of the answer to a handshake."""
        while b"\r\n\r\n" not in self._kept:
            more = self.sock.recv(65536)
            assert more, f"no answer to the handshake but {self._kept!r}"
            self._kept += more
        head, _, self._kept = self._kept.partition(b"\r\n\r\n")
        found = re.match(rb"HTTP/1.1 (\d+)", head)
        assert found
        return int(found[1]), head.decode("latin-1")

    def read_frame(self) -> tuple[int, bytes] | None:
        """Opcode and payload of the next frame; None when the connection is gone."""
        head = self._read(2)
        if head is None:
            return None
        length = head[1]
        if length > 125:
            more = self._read(2 if length == 126 else 8)
            length = int.from_bytes(more or b"", "big")
        payload = self._read(length)
        return None if payload is None else (head[0] & 15, payload)

    def read_close(self) -> int:
        """The code the gateway closes with, however much comes before it; DROPPED without a close frame."""
        while (found := self.read_frame()) is not None:
            if found[0] == CLOSE:
                return int.from_bytes(found[1][:2], "big")
        return DROPPED

    def read_text(self) -> str:
        """The next text frame."""
        while (found := self.read_frame()) is not None:
            assert found[0] != CLOSE, f"closed with {int.from_bytes(found[1][:2], 'big')}"
            if found[0] == TEXT:
                return found[1].decode()
        raise AssertionError("the connection is gone")

    def _read(self, count: int) -> bytes | None:
        while len(self._kept) < count:
            try:
                more = self.sock.recv(65536)
            except (ConnectionResetError, BrokenPipeError):
                return None
            if not more:
                return None
            self._kept += more
        taken, self._kept = self._kept[:count], self._kept[count:]
        return taken


@contextmanager
def dial(gateway: GatewayProcess, receive_buffer: int = 0) -> Iterator[RawClient]:
    """A TCP connection, and nothing said on it yet."""
    with socket.socket() as sock:
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(15)
        sock.connect(("127.0.0.1", gateway.port))
        yield RawClient(sock)


@contextmanager
def upgrade(gateway: GatewayProcess, *headers: str, path: str = "/ws", receive_buffer: int = 0) -> Iterator[RawClient]:
    """A socket that has been upgraded and does nothing by itself."""
    with dial(gateway, receive_buffer) as client:
        client.send(make_upgrade(gateway.address, path, *headers))
        status, head = client.read_head()
        assert status == 101, head
        yield client
